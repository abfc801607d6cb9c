#include "eval/candidates.h"

#include <charconv>

#include "core/file.h"
#include "retort/core/error.h"

namespace retort::eval {

double learning_rate_of(const std::string& text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, value);
  if (problem == std::errc() && stop == end && value > 0 && value < 1e3) return value;
  throw ConfigError(ErrorMessage{"reading --rates",
                                 "'" + text + "' is not a learning rate",
                                 "numbers above 0, such as 0.001,0.01,0.1",
                                 {}});
}

std::string hash_of(const std::vector<at::Tensor>& tensors) {
  uint64_t hash = 0;
  for (const at::Tensor& tensor : tensors) {
    if (!tensor.defined()) continue;
    const at::Tensor host = tensor.to(at::kCPU).contiguous();
    hash = hash_bytes(host.data_ptr(), host.nbytes(), hash);
  }
  return hex(hash);
}

}  // namespace retort::eval
