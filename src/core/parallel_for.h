// Work dealt out to libtorch's threads.
#pragma once

#include <ATen/TensorIterator.h>

#include <cstdint>

namespace retort {

/// Calls work(i) for 0..count-1 on libtorch's threads. at::parallel_for is serial outside of files
/// compiled for OpenMP, and a second OpenMP runtime beside a pip PyTorch's would fight for the
/// cores; the tensor iterator's own loop is neither. A thread takes at least `grain` in a row.
template <class Work>
void parallel_for(int64_t count, const Work& work, int64_t grain = 1) {
  at::Tensor numbers = at::arange(count, at::kLong);
  auto iterator = at::TensorIterator::nullary_op(numbers);
  iterator.for_each(
      [&](char** data, const int64_t* strides, int64_t inner, int64_t outer) {
        for (int64_t o = 0; o < outer; ++o)
          for (int64_t i = 0; i < inner; ++i)
            work(*reinterpret_cast<const int64_t*>(data[0] + i * strides[0] + o * strides[1]));
      },
      grain);
}

}  // namespace retort
