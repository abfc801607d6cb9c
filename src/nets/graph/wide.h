// Winograd's convolution of a whole batch in three phases, each of which is dealt out to threads:
// tiles are transformed in chunks, the elements of a tile are multiplied one after the other, so
// that an element's weights are read once, and chunks are transformed back. For layers whose
// weights do not stay in cache from image to image. No torch here.
#pragma once

#include "nets/winograd/winograd.h"

namespace retort::nets {

/// The tiles that are in work at a time: `tiles` beginning at `first`, in chunks of `chunk`.
struct WidePiece {
  int64_t first, tiles, chunk;
  int64_t chunks() const { return (tiles + chunk - 1) / chunk; }
  int64_t begin(int64_t c) const { return first + c * chunk; }
  int64_t count(int64_t c) const { return c + 1 < chunks() ? chunk : tiles - c * chunk; }
};
/// How many tiles a piece has, and one of its chunks, at most.
WidePiece wide_piece(const WinogradShape& shape);

int64_t wide_elements(const WinogradShape& shape);
/// Floats of a piece's transformed inputs, and of its transformed outputs.
int64_t wide_input_floats(const WinogradShape& shape, const WidePiece& piece);
int64_t wide_output_floats(const WinogradShape& shape, const WidePiece& piece);
/// Work on one chunk: inputs, to be multiplied, and outputs, from products.
void wide_inputs(const WinogradShape& shape, const WidePiece& piece, int64_t chunk,
                 const float* input, float* inputs);
void wide_outputs(const WinogradShape& shape, const WidePiece& piece, int64_t chunk,
                  const float* outputs, float* output);
/// Work on one element: products of all chunks with weights of winograd_pack.
void wide_products(const WinogradShape& shape, const WidePiece& piece, int64_t element,
                   const float* inputs, const float* weights, float* outputs);

}  // namespace retort::nets
