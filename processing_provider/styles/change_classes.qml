<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis styleCategories="Symbology" version="3.40.6-Bratislava">
  <pipe-data-defined-properties>
    <Option type="Map">
      <Option name="name" type="QString" value=""/>
      <Option name="properties"/>
      <Option name="type" type="QString" value="collection"/>
    </Option>
  </pipe-data-defined-properties>
  <pipe>
    <provider>
      <resampling zoomedOutResamplingMethod="nearestNeighbour" zoomedInResamplingMethod="nearestNeighbour" maxOversampling="2" enabled="false"/>
    </provider>
    <rasterrenderer nodataColor="" opacity="1" band="1" type="paletted" alphaBand="-1">
      <minMaxOrigin>
        <limits>None</limits>
        <extent>WholeRaster</extent>
        <statAccuracy>Estimated</statAccuracy>
        <cumulativeCutLower>0.02</cumulativeCutLower>
        <cumulativeCutUpper>0.98</cumulativeCutUpper>
        <stdDevFactor>2</stdDevFactor>
      </minMaxOrigin>
      <colorPalette>
        <paletteEntry alpha="255" label="Decline accelerated" value="1" color="#67001f"/>
        <paletteEntry alpha="255" label="Decline began" value="2" color="#b2182b"/>
        <paletteEntry alpha="255" label="Rise turned into decline" value="3" color="#d6604d"/>
        <paletteEntry alpha="255" label="Rise stopped" value="4" color="#f4a582"/>
        <paletteEntry alpha="255" label="Rise slowed" value="5" color="#fddbc7"/>
        <paletteEntry alpha="255" label="Downward change, slopes uncertain" value="6" color="#bfa89c"/>
        <paletteEntry alpha="255" label="No significant change" value="7" color="#f7f7f7"/>
        <paletteEntry alpha="255" label="Upward change, slopes uncertain" value="8" color="#9fb3bf"/>
        <paletteEntry alpha="255" label="Decline slowed" value="9" color="#d1e5f0"/>
        <paletteEntry alpha="255" label="Decline stopped" value="10" color="#92c5de"/>
        <paletteEntry alpha="255" label="Decline turned into rise" value="11" color="#4393c3"/>
        <paletteEntry alpha="255" label="Rise began" value="12" color="#2166ac"/>
        <paletteEntry alpha="255" label="Rise accelerated" value="13" color="#053061"/>
      </colorPalette>
    </rasterrenderer>
    <brightnesscontrast contrast="0" gamma="1" brightness="0"/>
    <huesaturation colorizeOn="0" grayscaleMode="0" saturation="0" invertColors="0" colorizeRed="255" colorizeStrength="100" colorizeGreen="128" colorizeBlue="128"/>
    <rasterresampler maxOversampling="2"/>
    <resamplingStage>resamplingFilter</resamplingStage>
  </pipe>
  <blendMode>0</blendMode>
</qgis>
