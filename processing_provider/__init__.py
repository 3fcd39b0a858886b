"""The Processing provider: the steps of `gwsa_qgis.steps` as QGIS algorithms."""
