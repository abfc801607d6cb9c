// What is made of one exchange of bytes. Nothing is added in an order that depends on the number of
// processes: items travel whole, and each process adds them up from the first to the last.
#include "retort/core/process_group.h"

#include <cstdlib>
#include <cstring>

#include "core/sizes.h"
#include "retort/core/share.h"

namespace retort {
namespace {

std::string bytes_of(const at::Tensor& tensor) {
  const at::Tensor host = tensor.detach().to(at::kCPU).contiguous();
  return {static_cast<const char*>(host.data_ptr()), host.nbytes()};
}

/// A tensor [count, ...] of the type and device of `like`, from the host's bytes.
at::Tensor tensor_of(const std::string& bytes, at::IntArrayRef shape, const at::Tensor& like) {
  const at::Tensor host = at::empty(shape, like.options().device(at::kCPU));
  TORCH_CHECK(host.nbytes() == bytes.size(), "a process sent ", bytes.size(), " bytes of ",
              host.nbytes());
  std::memcpy(host.data_ptr(), bytes.data(), bytes.size());
  return host.to(like.device());
}

std::vector<int64_t> shape_of(int64_t count, at::IntArrayRef item) {
  std::vector<int64_t> shape{count};
  shape.insert(shape.end(), item.begin(), item.end());
  return shape;
}

}  // namespace

const ProcessGroup& ProcessGroup::alone() {
  static const ProcessGroup group;
  return group;
}

bool ProcessGroup::any(bool mine) const {
  for (const std::string& one : gather(mine ? "1" : "0"))
    if (one == "1") return true;
  return false;
}

std::vector<at::Tensor> ProcessGroup::gather(const std::vector<at::Tensor>& mine,
                                             const at::Tensor& like) const {
  if (size() == 1) return mine;
  std::string bytes;
  for (const at::Tensor& one : mine) bytes += bytes_of(one);
  const size_t each = like.nbytes();
  std::vector<at::Tensor> all;
  for (const std::string& part : gather(bytes)) {
    if (part.empty()) continue;
    const auto count = static_cast<int64_t>(part.size() / each);
    for (const at::Tensor& one : tensor_of(part, shape_of(count, like.sizes()), like).unbind(0))
      all.push_back(one);
  }
  return all;
}

at::Tensor ProcessGroup::all_reduce(const std::vector<at::Tensor>& mine,
                                    const at::Tensor& like) const {
  at::Tensor sum;
  if (size() == 1) {
    for (const at::Tensor& one : mine) sum = sum.defined() ? sum + one : one;
    return sum.defined() ? sum : at::zeros_like(like);
  }
  const at::Tensor host = at::empty({0}, like.options().device(at::kCPU));
  const auto part = [&](int64_t r) { return Share{r, size()}; };
  std::vector<std::string> parts(to_size(size()));
  for (const at::Tensor& one : mine) {
    const at::Tensor numbers = one.detach().to(at::kCPU).flatten();
    for (int64_t r = 0; r < size(); ++r)
      parts[to_size(r)] +=
          bytes_of(numbers.slice(0, part(r).begin(like.numel()), part(r).end(like.numel())));
  }
  const int64_t own = part(rank()).end(like.numel()) - part(rank()).begin(like.numel());
  for (const std::string& some : deal(parts)) {
    if (some.empty()) continue;
    const int64_t items = std::ssize(some) / static_cast<int64_t>(host.element_size()) / own;
    for (const at::Tensor& one : tensor_of(some, {items, own}, host).unbind(0))
      sum = sum.defined() ? sum + one : one;
  }
  std::string whole;
  for (const std::string& some : gather(sum.defined() ? bytes_of(sum) : "")) whole += some;
  return whole.empty() ? at::zeros_like(like) : tensor_of(whole, like.sizes(), like);
}

std::vector<double> ProcessGroup::gather(const std::vector<double>& mine) const {
  if (size() == 1) return mine;
  std::vector<double> all;
  for (const std::string& part : gather(
           std::string(reinterpret_cast<const char*>(mine.data()), mine.size() * sizeof(double)))) {
    std::vector<double> numbers(part.size() / sizeof(double));
    std::memcpy(numbers.data(), part.data(), part.size());
    all.insert(all.end(), numbers.begin(), numbers.end());
  }
  return all;
}

void ProcessGroup::gather_rows(const at::Tensor& whole, const std::vector<int64_t>& mine) const {
  if (size() == 1) return;
  const at::Tensor own = at::tensor(mine, at::kLong);
  const std::vector<std::string> rows = gather(bytes_of(own)),
                                 values = gather(
                                     bytes_of(whole.index_select(0, own.to(whole.device()))));
  for (size_t r = 0; r < rows.size(); ++r) {
    const auto count = static_cast<int64_t>(rows[r].size() / sizeof(int64_t));
    if (count == 0 || static_cast<int64_t>(r) == rank()) continue;
    const at::Tensor places = tensor_of(rows[r], {count}, own);
    at::Tensor(whole).index_copy_(
        0, places.to(whole.device()),
        tensor_of(values[r], shape_of(count, whole.sizes().slice(1)), whole));
  }
}

void ProcessGroup::abort(int code) const {
  std::_Exit(code);
}

}  // namespace retort
