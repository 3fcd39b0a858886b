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
        <paletteEntry value="1" label="Highly significant decrease (p &lt; 0.01)" color="#b2182b" alpha="255"/>
        <paletteEntry value="2" label="Significant decrease (p &lt; 0.05)" color="#ef8a62" alpha="255"/>
        <paletteEntry value="3" label="Decrease, not significant" color="#fddbc7" alpha="255"/>
        <paletteEntry value="4" label="No change" color="#f7f7f7" alpha="255"/>
        <paletteEntry value="5" label="Increase, not significant" color="#d1e5f0" alpha="255"/>
        <paletteEntry value="6" label="Significant increase (p &lt; 0.05)" color="#67a9cf" alpha="255"/>
        <paletteEntry value="7" label="Highly significant increase (p &lt; 0.01)" color="#2166ac" alpha="255"/>
      </colorPalette>
    </rasterrenderer>
    <brightnesscontrast brightness="0" gamma="1" contrast="0"/>
    <huesaturation colorizeStrength="100" colorizeGreen="128" saturation="0" colorizeOn="0" invertColors="0" colorizeBlue="128" grayscaleMode="0" colorizeRed="255"/>
    <rasterresampler maxOversampling="2"/>
    <resamplingStage>resamplingFilter</resamplingStage>
  </pipe>
  <blendMode>0</blendMode>
</qgis>
