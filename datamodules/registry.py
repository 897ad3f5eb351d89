"""The data sets by name. A new one is one file and one line here."""

DATASETS = {
    "ade20k": "datamodules.datasets.ade20k:ade20k",
    "camvid": "datamodules.datasets.camvid:camvid",
    "cityscapes": "datamodules.datasets.cityscapes:cityscapes",
    "coco": "datamodules.datasets.coco:coco",
    "folder": "datamodules.datasets.folder:folder",
    "streets": "datamodules.datasets.streets:Streets",
    "voc2012": "datamodules.datasets.voc2012:voc2012",
}
