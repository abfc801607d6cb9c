// Golden numbers: small inputs, and what the authors' own code answers to them, in
// tests/golden/NAME.safetensors. tests/golden/README.md says how they were made.
#pragma once

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "retort/io/tensor_file.h"

namespace retort::tests {

/// The inputs and answers of one file. Where RETORT_GOLDEN_INPUTS names a folder, the inputs are
/// written there, for the authors' code to answer, and nothing is compared.
class Golden {
 public:
  explicit Golden(const std::string& name) : name_(name) {
    const char* folder = std::getenv("RETORT_GOLDEN_INPUTS");
    if (folder) recorded_ = std::filesystem::path(folder) / (name + ".safetensors");
    if (!folder)
      kept_ = load_tensors(std::filesystem::path(RETORT_SOURCE_DIR) / "tests" / "golden" /
                           (name + ".safetensors"))
                  .tensors;
  }
  Golden(const Golden&) = delete;
  Golden& operator=(const Golden&) = delete;
  ~Golden() {
    if (recording()) save_tensors(recorded_, inputs_, {});
  }
  bool recording() const { return !recorded_.empty(); }

  /// A tensor that the answers were made from; what is kept must equal it but for rounding.
  void input(const std::string& key, const at::Tensor& value) {
    if (recording()) inputs_[key] = value.contiguous().clone();
    if (!recording()) compare(key, value, 1e-6);
  }

  /// Expects the largest difference to be at most `tolerance` of the largest value of the answer.
  /// Where the authors' code gives no number, nothing is compared.
  void answer(const std::string& key, const at::Tensor& found, double tolerance) {
    if (!recording()) compare(key, found, tolerance);
  }
  void answer(const std::string& key, double found, double tolerance) {
    answer(key, at::full({1}, found, at::kDouble), tolerance);
  }

 private:
  void compare(const std::string& key, const at::Tensor& found, double tolerance) {
    const std::string what = name_ + ": " + key;
    ASSERT_TRUE(kept_.count(key)) << what << " is not kept";
    const at::Tensor wanted = kept_.at(key).to(at::kDouble);
    ASSERT_EQ(found.numel(), wanted.numel()) << what;
    const at::Tensor known = wanted.eq(wanted);
    ASSERT_TRUE(known.any().item<bool>()) << what;
    const double scale = wanted.masked_select(known).abs().max().item<double>();
    const at::Tensor gap = found.detach().cpu().to(at::kDouble).reshape(wanted.sizes()) - wanted;
    EXPECT_LE(gap.masked_select(known).abs().max().item<double>(),
              tolerance * (scale > 0 ? scale : 1))
        << what;
  }

  const std::string name_;
  std::filesystem::path recorded_;
  TensorMap kept_, inputs_;
};

/// Numbers between -1 and 1 that Python makes as well: an integer hash of place and `salt`.
inline at::Tensor hashed(const std::vector<int64_t>& shape, uint32_t salt) {
  at::Tensor values = at::empty(shape, at::kDouble);
  auto* out = values.data_ptr<double>();
  for (int64_t i = 0; i < values.numel(); ++i) {
    uint32_t x = static_cast<uint32_t>(i) + salt * 0x9e3779b9u;
    x = (x ^ (x >> 16)) * 0x7feb352du;
    x = (x ^ (x >> 15)) * 0x846ca68bu;
    x ^= x >> 16;
    out[i] = static_cast<double>(x) / 2147483648.0 - 1;
  }
  return values;
}

}  // namespace retort::tests
