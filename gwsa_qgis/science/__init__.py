"""Arrays in, arrays out: the method's mathematics, without files, GDAL or QGIS."""
