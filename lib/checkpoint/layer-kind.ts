/** The classes of layers that models have. */
export type LayerKind =
  | 'AdaLayerNormSingle'
  | 'CaptionProjection'
  | 'CogVideoXPatchEmbed'
  | 'CombinedTimestepGuidanceTextProjEmbeddings'
  | 'CombinedTimestepTextProjEmbeddings'
  | 'Linear'
  | 'PatchEmbed'
  | 'PatchEmbed3d'
  | 'PixArtAlphaTextProjection'
  | 'QwenTimestepProjEmbeddings'
  | 'SanaCombinedTimestepGuidanceEmbeddings'
  | 'TimestepEmbedding'
  | 'WanTimeTextImageEmbedding';
