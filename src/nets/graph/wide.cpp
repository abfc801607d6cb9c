#include "nets/graph/wide.h"

#include "nets/winograd/plan.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "nets/graph/wide.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "nets/winograd/tiles_inl.h"

HWY_BEFORE_NAMESPACE();
namespace retort::nets::HWY_NAMESPACE {

/// Where a chunk's matrices lie: those of an element are `step` apart.
struct ChunkPlace {
  ChunkPlace(const WinogradShape& s, const WidePiece& p, int64_t c)
      : begin(p.begin(c)),
        count(p.count(c)),
        step(element_step(count * s.in)),
        input(c * elements(s) * element_step(p.chunk * s.in)),
        output(c * elements(s) * panels(s) * element_step(p.chunk * kPanel)) {}
  int64_t begin, count, step, input, output;
};

/// Of an output panel's matrices in a chunk.
HWY_INLINE int64_t panel_of(const WinogradShape& s, int64_t count, int64_t panel) {
  return elements(s) * (panel / kPanel) * element_step(count * kPanel);
}

template <int kTile>
HWY_INLINE void outputs_of(const WinogradShape& s, const ChunkPlace& at, const float* outputs,
                           float* output) {
  for (int64_t panel = 0; panel < s.out; panel += kPanel) {
    const int64_t width = std::min(kPanel, s.out - panel);
    output_tiles<kTile>(s, at.begin, at.count, panel,
                        outputs + at.output + panel_of(s, at.count, panel),
                        element_step(at.count * width), output);
  }
}

void WideInputs(const WinogradShape& s, const WidePiece& piece, int64_t chunk, const float* input,
                float* inputs) {
  const ChunkPlace at(s, piece, chunk);
  if (s.tile == WinogradTile::k4)
    input_tiles<4>(s, at.begin, at.count, input, inputs + at.input, at.step);
  else
    input_tiles<2>(s, at.begin, at.count, input, inputs + at.input, at.step);
}

void WideOutputs(const WinogradShape& s, const WidePiece& piece, int64_t chunk,
                 const float* outputs, float* output) {
  const ChunkPlace at(s, piece, chunk);
  if (s.tile == WinogradTile::k4)
    outputs_of<4>(s, at, outputs, output);
  else
    outputs_of<2>(s, at, outputs, output);
}

void WideProducts(const WinogradShape& s, const WidePiece& piece, int64_t element,
                  const float* inputs, const float* weights, float* outputs) {
  for (int64_t panel = 0; panel < s.out; panel += kPanel) {
    const int64_t width = std::min(kPanel, s.out - panel);
    const float* own = weights + panel_place(s, panel) + element * element_step(s.in * width);
    for (int64_t c = 0; c < piece.chunks(); ++c) {
      const ChunkPlace at(s, piece, c);
      multiply(at.count, width,
               {inputs + at.input + element * at.step, s.in / kBlock, at.count * kBlock, own, width,
                outputs + at.output + panel_of(s, at.count, panel) +
                    element * element_step(at.count * width),
                width});
    }
  }
}

}  // namespace retort::nets::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace retort::nets {

HWY_EXPORT(WideInputs);
HWY_EXPORT(WideOutputs);
HWY_EXPORT(WideProducts);

WidePiece wide_piece(const WinogradShape& s) {
  // Two million floats of each side stay in the last cache; weights are read once a piece.
  constexpr int64_t kFloats = 2 << 20, kLeast = 112, kChunk = 28;
  const int64_t most = std::max(kLeast, kFloats / (elements(s) * s.in) / kLeast * kLeast);
  return {0, std::min(most, s.tiles()), kChunk};
}

int64_t wide_elements(const WinogradShape& shape) {
  return elements(shape);
}

int64_t wide_input_floats(const WinogradShape& s, const WidePiece& piece) {
  return piece.chunks() * elements(s) * element_step(piece.chunk * s.in);
}

int64_t wide_output_floats(const WinogradShape& s, const WidePiece& piece) {
  return piece.chunks() * elements(s) * panels(s) * element_step(piece.chunk * kPanel);
}

void wide_inputs(const WinogradShape& shape, const WidePiece& piece, int64_t chunk,
                 const float* input, float* inputs) {
  HWY_DYNAMIC_DISPATCH(WideInputs)(shape, piece, chunk, input, inputs);
}

void wide_outputs(const WinogradShape& shape, const WidePiece& piece, int64_t chunk,
                  const float* outputs, float* output) {
  HWY_DYNAMIC_DISPATCH(WideOutputs)(shape, piece, chunk, outputs, output);
}

void wide_products(const WinogradShape& shape, const WidePiece& piece, int64_t element,
                   const float* inputs, const float* weights, float* outputs) {
  HWY_DYNAMIC_DISPATCH(WideProducts)(shape, piece, element, inputs, weights, outputs);
}

}  // namespace retort::nets
#endif
