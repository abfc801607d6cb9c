#include "nets/flatten.h"

namespace retort::nets {

std::vector<at::Tensor> unflatten(const Layout& layout, const at::Tensor& flat) {
  TORCH_CHECK(flat.dim() == 1 && flat.size(0) == layout.size, "a vector of ", layout.size,
              " numbers is wanted, not ", flat.sizes());
  const at::Tensor whole = flat.contiguous();
  std::vector<at::Tensor> pieces;
  for (const Slot& slot : layout.slots)
    pieces.push_back(whole.narrow(0, slot.offset, slot.count).view(slot.shape));
  return pieces;
}

at::Tensor flatten(const std::vector<at::Tensor>& pieces, const std::vector<at::Tensor>& like) {
  std::vector<at::Tensor> flat;
  for (size_t i = 0; i < like.size(); ++i)
    flat.push_back(or_zeros(i < pieces.size() ? pieces[i] : at::Tensor(), like[i]).reshape(-1));
  return at::cat(flat);
}

at::Tensor or_zeros(const at::Tensor& x, const at::Tensor& like) {
  return x.defined() ? x.detach().contiguous() : at::zeros_like(like.detach());
}

}  // namespace retort::nets
