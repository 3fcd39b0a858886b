<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis styleCategories="Symbology" version="3.40.6-Bratislava">
  <pipe-data-defined-properties>
    <Option type="Map">
      <Option value="" type="QString" name="name"/>
      <Option name="properties"/>
      <Option value="collection" type="QString" name="type"/>
    </Option>
  </pipe-data-defined-properties>
  <pipe>
    <provider>
      <resampling enabled="false" maxOversampling="2" zoomedInResamplingMethod="nearestNeighbour" zoomedOutResamplingMethod="nearestNeighbour"/>
    </provider>
    <rasterrenderer alphaBand="-1" opacity="1" type="paletted" nodataColor="" band="1">
      <minMaxOrigin>
        <limits>None</limits>
        <extent>WholeRaster</extent>
        <statAccuracy>Estimated</statAccuracy>
        <cumulativeCutLower>0.02</cumulativeCutLower>
        <cumulativeCutUpper>0.98</cumulativeCutUpper>
        <stdDevFactor>2</stdDevFactor>
      </minMaxOrigin>
      <colorPalette>
        <paletteEntry value="11" label="11 major basin, recharge &lt; 2 mm/yr" color="#deebf7" alpha="255"/>
        <paletteEntry value="12" label="12 major basin, 2-20" color="#9ecae1" alpha="255"/>
        <paletteEntry value="13" label="13 major basin, 20-100" color="#6baed6" alpha="255"/>
        <paletteEntry value="14" label="14 major basin, 100-300" color="#3182bd" alpha="255"/>
        <paletteEntry value="15" label="15 major basin, > 300" color="#08519c" alpha="255"/>
        <paletteEntry value="22" label="22 complex structure, &lt; 20" color="#c7e9c0" alpha="255"/>
        <paletteEntry value="23" label="23 complex structure, 20-100" color="#74c476" alpha="255"/>
        <paletteEntry value="24" label="24 complex structure, 100-300" color="#31a354" alpha="255"/>
        <paletteEntry value="25" label="25 complex structure, > 300" color="#006d2c" alpha="255"/>
        <paletteEntry value="33" label="33 local and shallow, &lt; 100" color="#d8b365" alpha="255"/>
        <paletteEntry value="34" label="34 local and shallow, > 100" color="#8c510a" alpha="255"/>
      </colorPalette>
    </rasterrenderer>
    <brightnesscontrast brightness="0" gamma="1" contrast="0"/>
    <huesaturation colorizeStrength="100" colorizeGreen="128" saturation="0" colorizeOn="0" invertColors="0" colorizeBlue="128" grayscaleMode="0" colorizeRed="255"/>
    <rasterresampler maxOversampling="2"/>
    <resamplingStage>resamplingFilter</resamplingStage>
  </pipe>
  <blendMode>0</blendMode>
</qgis>
