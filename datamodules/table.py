"""The data sets by name. A new one is one file and one line here."""

DATASETS = {
    "ade20k": "datamodules.ade20k:ade20k",
    "camvid": "datamodules.camvid:camvid",
    "cityscapes": "datamodules.cityscapes:cityscapes",
    "coco": "datamodules.coco:coco",
    "folder": "datamodules.folder:folder",
    "streets": "datamodules.streets:Streets",
    "voc2012": "datamodules.voc2012:voc2012",
}
