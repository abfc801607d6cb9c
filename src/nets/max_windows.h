// The largest value of every square window, the windows side by side, in operations whose way back
// adds nothing up by atomics, as libtorch's own may on a GPU.
#pragma once

#include <torch/types.h>

namespace retort::nets {

/// Which value of every window is its largest, the first on ties: [N, C, h, w, window^2], bool.
at::Tensor largest_in_windows(const at::Tensor& x, int64_t window);
/// What the mask chose: [N, C, h, w]. Rows and columns beyond the last whole window count nowhere.
at::Tensor take_from_windows(const at::Tensor& x, const at::Tensor& chosen, int64_t window);
/// The transpose of taking: values [N, C, h, w] go back to their places in maps of `like`'s size.
at::Tensor put_into_windows(const at::Tensor& values, const at::Tensor& chosen, int64_t window,
                            const at::Tensor& like);

}  // namespace retort::nets
