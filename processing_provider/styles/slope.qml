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
    <rasterrenderer classificationMin="-1" alphaBand="-1" opacity="1" type="singlebandpseudocolor" nodataColor="" classificationMax="1" band="1">
      <minMaxOrigin>
        <limits>None</limits>
        <extent>WholeRaster</extent>
        <statAccuracy>Estimated</statAccuracy>
        <cumulativeCutLower>0.02</cumulativeCutLower>
        <cumulativeCutUpper>0.98</cumulativeCutUpper>
        <stdDevFactor>2</stdDevFactor>
      </minMaxOrigin>
      <rastershader>
        <colorrampshader clip="0" maximumValue="1" colorRampType="INTERPOLATED" labelPrecision="6" classificationMode="1" minimumValue="-1">
          <item value="-1" label="-1" color="#67001f" alpha="255"/>
          <item value="-0.8" label="-0.8" color="#b2182b" alpha="255"/>
          <item value="-0.6" label="-0.6" color="#d6604d" alpha="255"/>
          <item value="-0.4" label="-0.4" color="#f4a582" alpha="255"/>
          <item value="-0.2" label="-0.2" color="#fddbc7" alpha="255"/>
          <item value="0" label="0" color="#ffffff" alpha="255"/>
          <item value="0.2" label="0.2" color="#d1e5f0" alpha="255"/>
          <item value="0.4" label="0.4" color="#92c5de" alpha="255"/>
          <item value="0.6" label="0.6" color="#4393c3" alpha="255"/>
          <item value="0.8" label="0.8" color="#2166ac" alpha="255"/>
          <item value="1" label="1" color="#053061" alpha="255"/>
          <rampLegendSettings useContinuousLegend="1" prefix="" minimumLabel="" orientation="2" maximumLabel="" suffix="" direction="0">
            <numericFormat id="basic">
              <Option type="Map">
                <Option type="invalid" name="decimal_separator"/>
                <Option value="6" type="int" name="decimals"/>
                <Option value="0" type="int" name="rounding_type"/>
                <Option value="false" type="bool" name="show_plus"/>
                <Option value="true" type="bool" name="show_thousand_separator"/>
                <Option value="false" type="bool" name="show_trailing_zeros"/>
                <Option type="invalid" name="thousand_separator"/>
              </Option>
            </numericFormat>
          </rampLegendSettings>
        </colorrampshader>
      </rastershader>
    </rasterrenderer>
    <brightnesscontrast brightness="0" gamma="1" contrast="0"/>
    <huesaturation colorizeStrength="100" colorizeGreen="128" saturation="0" colorizeOn="0" invertColors="0" colorizeBlue="128" grayscaleMode="0" colorizeRed="255"/>
    <rasterresampler maxOversampling="2"/>
    <resamplingStage>resamplingFilter</resamplingStage>
  </pipe>
  <blendMode>0</blendMode>
</qgis>
