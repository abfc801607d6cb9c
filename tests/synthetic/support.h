// Small bundles and hand-made .pt files for the tests of this folder.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "io/archive.h"
#include "retort/synthetic/bundle.h"
#include "support/support.h"

namespace retort::synthetic::tests {

using retort::tests::expect_error;
using retort::tests::read_text;
using retort::tests::TempFolder;
using retort::tests::write_text;

#define RETORT_NEEDS_ARCHIVES() \
  if (!archives_available()) GTEST_SKIP() << "this build has no libarchive"

/// Five 3x4x4 images of the classes cat (2), "a/dog" (1) and bird (2), mean/std preprocessing.
inline Bundle small_bundle() {
  Bundle bundle;
  bundle.class_names = {"cat", "a/dog", "bird"};
  bundle.preprocessing = data::Preprocessing::mean_std({0.5, 0.25, 0.5}, {0.25, 0.5, 0.1});
  const at::Tensor bytes =
      at::arange(5 * 3 * 16, at::kLong).mul(37).remainder(256).to(at::kByte).view({5, 3, 4, 4});
  bundle.images = bundle.preprocessing.apply(bytes, at::kCPU);
  bundle.labels = at::tensor({0, 0, 1, 2, 2}, at::kLong);
  bundle.method = "dm";
  bundle.data_name = "toy";
  bundle.data_hash = "0123456789abcdef";
  bundle.recipe = "method = \"dm\"\nseed = 7\n";
  bundle.protocol = "dc";
  bundle.network = "convnet";
  bundle.augmentation = "color_crop";
  bundle.seed = 7;
  bundle.program_version = "0.1.0";
  bundle.storage_bytes = bundle.stored_bytes();
  return bundle;
}

/// The same with ZCA of 48 numbers an image.
inline Bundle whitened_bundle() {
  Bundle bundle = small_bundle();
  const at::Tensor matrix = at::eye(48).mul(2);
  bundle.preprocessing = data::Preprocessing::zca(at::full({48}, 0.5f), matrix, at::eye(48).div(2));
  return bundle;
}

/// A tensor in a pickle's text form (protocol 0): shape and strides as "I2\nI3\n".
inline std::string pickled_tensor(const std::string& type, const std::string& key, int64_t elements,
                                  int64_t offset, const std::string& shape,
                                  const std::string& strides) {
  return "ctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\n" + type + "\nS'" + key +
         "'\nS'cpu'\nI" + std::to_string(elements) + "\ntQI" + std::to_string(offset) + "\n(" +
         shape + "t(" + strides + "tI00\nccollections\nOrderedDict\n)RtR";
}

/// Writes a .pt of this pickle and these storages.
inline void write_pt(const std::filesystem::path& path, const std::string& pickle,
                     const std::vector<std::string>& storages) {
  std::vector<std::pair<std::string, std::string>> members = {{"x/data.pkl", pickle}};
  for (size_t i = 0; i < storages.size(); ++i)
    members.emplace_back("x/data/" + std::to_string(i), storages[i]);
  members.emplace_back("x/version", "3\n");
  write_stored_zip(path, members);
}

}  // namespace retort::synthetic::tests
