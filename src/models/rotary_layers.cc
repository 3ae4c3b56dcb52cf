#include "models/rotary_layers.h"

namespace truevec {

const RotaryNaming& ChooseNaming(const WeightScope& root, const RotaryNaming& published, const RotaryNaming& native) {
  return root.HasAnyUnder(published.layers) ? published : native;
}

Result<Linear> LoadQkv(const WeightScope& layer, const RotaryLayerNames& names, int64_t width, bool bias,
                       ComputeType type) {
  if (!names.qkv.empty() && (layer.HasAnyUnder(names.qkv) || names.query.empty())) {
    return LoadLinear(layer.Sub(names.qkv), width, 3 * width, type, bias);
  }
  return LoadFusedLinear({layer.Sub(names.query), layer.Sub(names.key), layer.Sub(names.value)}, width,
                         {width, width, width}, type, bias);
}

Result<Linear> LoadGateUp(const WeightScope& layer, const RotaryLayerNames& names, int64_t width, int64_t inner,
                          bool bias, ComputeType type) {
  if (!names.gate_up.empty() && (layer.HasAnyUnder(names.gate_up) || names.first.empty())) {
    return LoadLinear(layer.Sub(names.gate_up), width, 2 * inner, type, bias);
  }
  return LoadFusedLinear({layer.Sub(names.first), layer.Sub(names.second)}, width, {inner, inner}, type, bias);
}

Status RotaryEncoder::Forward(const ForwardRequest& request, const ExecContext& ctx, Matrix hidden) const {
  TV_RETURN_IF_ERROR(embeddings_.Forward(request.batch, ctx, hidden));
  PositionScheme positions;
  positions.rope = rope_.ForBatch(request.batch, ctx);
  encoder_.Forward(request, ctx, positions, hidden);
  return Status::Ok();
}

}  // namespace truevec
