<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.40.6-Bratislava" styleCategories="Symbology">
  <pipe-data-defined-properties>
    <Option type="Map">
      <Option type="QString" name="name" value=""/>
      <Option name="properties"/>
      <Option type="QString" name="type" value="collection"/>
    </Option>
  </pipe-data-defined-properties>
  <pipe>
    <provider>
      <resampling zoomedInResamplingMethod="nearestNeighbour" zoomedOutResamplingMethod="nearestNeighbour" enabled="false" maxOversampling="2"/>
    </provider>
    <rasterrenderer type="paletted" band="1" alphaBand="-1" opacity="1" nodataColor="">
      <minMaxOrigin>
        <limits>None</limits>
        <extent>WholeRaster</extent>
        <statAccuracy>Estimated</statAccuracy>
        <cumulativeCutLower>0.02</cumulativeCutLower>
        <cumulativeCutUpper>0.98</cumulativeCutUpper>
        <stdDevFactor>2</stdDevFactor>
      </minMaxOrigin>
      <colorPalette>
        <paletteEntry alpha="255" value="1" color="#730000" label="D4 exceptional drought"/>
        <paletteEntry alpha="255" value="2" color="#e60000" label="D3 extreme drought"/>
        <paletteEntry alpha="255" value="3" color="#ffaa00" label="D2 severe drought"/>
        <paletteEntry alpha="255" value="4" color="#fcd37f" label="D1 moderate drought"/>
        <paletteEntry alpha="255" value="5" color="#ffff00" label="D0 abnormally dry"/>
        <paletteEntry alpha="255" value="6" color="#f7f7f7" label="Normal"/>
        <paletteEntry alpha="255" value="7" color="#d1e5f0" label="W0 slightly wet"/>
        <paletteEntry alpha="255" value="8" color="#92c5de" label="W1 moderately wet"/>
        <paletteEntry alpha="255" value="9" color="#4393c3" label="W2 very wet"/>
        <paletteEntry alpha="255" value="10" color="#2166ac" label="W3 extremely wet"/>
        <paletteEntry alpha="255" value="11" color="#053061" label="W4 exceptionally wet"/>
      </colorPalette>
    </rasterrenderer>
    <brightnesscontrast brightness="0" contrast="0" gamma="1"/>
    <huesaturation saturation="0" colorizeGreen="128" colorizeBlue="128" colorizeStrength="100" colorizeRed="255" invertColors="0" grayscaleMode="0" colorizeOn="0"/>
    <rasterresampler maxOversampling="2"/>
    <resamplingStage>resamplingFilter</resamplingStage>
  </pipe>
  <blendMode>0</blendMode>
</qgis>
