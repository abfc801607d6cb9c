#include "nets/max_windows.h"

namespace retort::nets {
namespace {

/// [N, C, H, W] as [N, C, h, w, window^2].
at::Tensor windows_of(const at::Tensor& x, int64_t window) {
  const int64_t height = x.size(2) / window, width = x.size(3) / window;
  return x.slice(2, 0, height * window)
      .slice(3, 0, width * window)
      .reshape({x.size(0), x.size(1), height, window, width, window})
      .transpose(3, 4)
      .flatten(4);
}

}  // namespace

at::Tensor largest_in_windows(const at::Tensor& x, int64_t window) {
  return windows_of(x.detach(), window).argmax(-1, true) ==
         at::arange(window * window, x.options().dtype(at::kLong));
}

at::Tensor take_from_windows(const at::Tensor& x, const at::Tensor& chosen, int64_t window) {
  return at::where(chosen, windows_of(x, window), at::zeros({}, x.options())).sum(-1);
}

at::Tensor put_into_windows(const at::Tensor& values, const at::Tensor& chosen, int64_t window,
                            const at::Tensor& like) {
  const int64_t height = values.size(2), width = values.size(3);
  const at::Tensor placed =
      at::where(chosen, values.unsqueeze(-1), at::zeros({}, values.options()))
          .view({values.size(0), values.size(1), height, width, window, window})
          .transpose(3, 4)
          .reshape({values.size(0), values.size(1), height * window, width * window});
  return at::constant_pad_nd(placed,
                             {0, like.size(3) - width * window, 0, like.size(2) - height * window});
}

}  // namespace retort::nets
