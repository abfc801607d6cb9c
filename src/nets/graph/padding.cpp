#include "nets/graph/padding.h"

#include <algorithm>

namespace retort::nets {

int64_t PaddedLayout::add(int64_t offset, int64_t rows, int64_t count, int64_t own_rows,
                          int64_t own_count) {
  const int64_t place = own_;
  moved_ = moved_ || offset != place;
  if (count == own_count)
    pieces_.push_back({offset, place, rows * count});
  else
    for (int64_t r = 0; r < rows; ++r)
      pieces_.push_back({offset + r * count, place + r * own_count, count});
  plain_ += rows * count;
  own_ += own_rows * own_count;
  return place;
}

at::Tensor PaddedLayout::padded(const at::Tensor& plain) const {
  if (is_plain() || !plain.defined()) return plain;
  at::Tensor own = at::zeros({own_});
  const float* from = plain.data_ptr<float>();
  float* to = own.data_ptr<float>();
  for (const Piece& piece : pieces_) std::copy_n(from + piece.from, piece.count, to + piece.to);
  return own;
}

at::Tensor PaddedLayout::plain(const at::Tensor& padded) const {
  if (is_plain() || !padded.defined()) return padded;
  at::Tensor all = at::empty({plain_});
  const float* from = padded.data_ptr<float>();
  float* to = all.data_ptr<float>();
  for (const Piece& piece : pieces_) std::copy_n(from + piece.to, piece.count, to + piece.from);
  return all;
}

}  // namespace retort::nets
