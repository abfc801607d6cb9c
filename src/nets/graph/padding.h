// Theta and the state with channels padded to whole blocks by zeros, as a plan's steps take them.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace retort::nets {

class PaddedLayout {
 public:
  /// Places `rows` rows of `count` values from `offset` on in `own_rows` rows of `own_count`;
  /// returns where the first one lies.
  int64_t add(int64_t offset, int64_t rows, int64_t count, int64_t own_rows, int64_t own_count);
  /// A plain vector in this layout: itself where that is the plain one.
  at::Tensor padded(const at::Tensor& plain) const;
  at::Tensor plain(const at::Tensor& padded) const;
  int64_t size() const { return own_; }

 private:
  struct Piece {
    int64_t from, to, count;
  };
  bool is_plain() const { return !moved_ && plain_ == own_; }
  std::vector<Piece> pieces_;
  int64_t plain_ = 0, own_ = 0;
  bool moved_ = false;
};

}  // namespace retort::nets
