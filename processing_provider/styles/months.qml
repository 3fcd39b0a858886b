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
        <paletteEntry alpha="255" value="1" color="#2c7bb6" label="January"/>
        <paletteEntry alpha="255" value="2" color="#00a0b0" label="February"/>
        <paletteEntry alpha="255" value="3" color="#3bb273" label="March"/>
        <paletteEntry alpha="255" value="4" color="#8cc63f" label="April"/>
        <paletteEntry alpha="255" value="5" color="#d4e157" label="May"/>
        <paletteEntry alpha="255" value="6" color="#ffe066" label="June"/>
        <paletteEntry alpha="255" value="7" color="#fdae61" label="July"/>
        <paletteEntry alpha="255" value="8" color="#f46d43" label="August"/>
        <paletteEntry alpha="255" value="9" color="#d73027" label="September"/>
        <paletteEntry alpha="255" value="10" color="#b0306a" label="October"/>
        <paletteEntry alpha="255" value="11" color="#7b3294" label="November"/>
        <paletteEntry alpha="255" value="12" color="#4a4a9c" label="December"/>
      </colorPalette>
    </rasterrenderer>
    <brightnesscontrast brightness="0" contrast="0" gamma="1"/>
    <huesaturation saturation="0" colorizeGreen="128" colorizeBlue="128" colorizeStrength="100" colorizeRed="255" invertColors="0" grayscaleMode="0" colorizeOn="0"/>
    <rasterresampler maxOversampling="2"/>
    <resamplingStage>resamplingFilter</resamplingStage>
  </pipe>
  <blendMode>0</blendMode>
</qgis>
