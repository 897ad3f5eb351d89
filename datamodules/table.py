"""The data sets by name. A new one is one file and one line here."""

DATASETS = {
    "camvid": "datamodules.camvid:CamVid",
    "streets": "datamodules.streets:Streets",
}
