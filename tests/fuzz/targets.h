// The entry functions of the file parsers, shared by the fuzzers and the test that replays their
// corpus. Each may refuse its input with an Error and must do nothing worse. No torch here.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/cifar_binary.h"
#include "data/cifar_pickle.h"
#include "data/idx.h"
#include "data/npz.h"
#include "data/tiny_imagenet.h"
#include "io/archive.h"
#include "io/npy.h"
#include "io/pickle.h"
#include "io/safetensors.h"
#include "io/torch_content.h"
#include "retort/core/error.h"
#include "retort/core/options.h"
#include "retort/core/records.h"
#include "retort/data/image_file.h"
#include "support/temp_folder.h"
#include "synthetic/class_counts.h"

namespace retort::fuzz {

inline std::span<const std::byte> as_span(std::string_view bytes) {
  return {reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()};
}

inline void pickle(std::string_view bytes) {
  read_pickle(bytes, "input");
}

inline void npy(std::string_view bytes) {
  const NpyArray array = parse_npy(bytes, "input");
  data::integers_of(array, "array", "input");
}

inline void safetensors(std::string_view bytes) {
  parse_safetensors(as_span(bytes), "input");
}

inline void idx(std::string_view bytes) {
  if (!bytes.empty() && bytes.back() % 2)
    data::parse_idx_labels(bytes, "input");
  else
    data::parse_idx(bytes, "input", 3);
}

inline void cifar(std::string_view bytes) {
  data::RawImages images;
  data::parse_cifar_binary(bytes, "input", data::CifarLabels::kTen, images);
}

inline void cifar_pickle(std::string_view bytes) {
  data::RawImages images;
  data::parse_cifar_pickle(bytes, "input", data::CifarLabels::kTen, images);
}

inline void npz(std::string_view bytes) {
  const std::string path = "input.npz";
  data::dataset_of_npz(
      data::npz_members(as_span(bytes), path, {"x_train", "y_train", "x_test", "y_test"}), path);
}

inline void image(std::string_view bytes) {
  const data::DecodedImage header = data::decode_header(bytes, "input");
  const data::DecodedImage decoded = data::decode_image(bytes, "input");
  if (header.width != decoded.width || header.height != decoded.height) std::abort();
  if (decoded.width * decoded.height < 1 << 16) data::to_square(decoded, 16);
}

inline void npy_strings(std::string_view bytes) {
  npy_is_text(bytes, "input");
  const std::vector<std::string> texts = parse_npy_strings(bytes, "input");
  // Written again they are the same, but for texts that a NUL ends.
  const auto whole = [](const std::string& text) { return text.find('\0') == std::string::npos; };
  if (std::all_of(texts.begin(), texts.end(), whole) &&
      parse_npy_strings(retort::npy_strings(texts), "again") != texts)
    std::abort();
}

inline void toml(std::string_view bytes) {
  parse_flat_toml(std::string(bytes), "input");
}

inline void records(std::string_view bytes) {
  static const tests::TempFolder scratch;
  const auto path = scratch / "records.jsonl";
  tests::write_text(path, bytes);
  const std::vector<Json> before = read_records(path);
  RecordWriter(path, 5).write({{"kind", "last"}});  // as a run goes on
  if (read_records(path).size() > before.size() + 1) std::abort();
}

constexpr uint64_t kMostUnpacked = uint64_t{1} << 24;

inline void gzip(std::string_view bytes) {
  static const tests::TempFolder scratch;
  tests::write_text(scratch / "input.gz", bytes);
  read_gzip(scratch / "input.gz", kMostUnpacked);
}

inline void archive(std::string_view bytes) {
  uint64_t size = 0;
  read_archive_bytes(as_span(bytes), "input", kMostUnpacked,
                     [&](const std::string&, const std::string& member) { size += member.size(); });
  if (size > kMostUnpacked) std::abort();
}

/// Looks at the ends of every tensor of the tree.
inline int64_t sum_of_ends(const TorchContent& content, const Pickle& value) {
  int64_t sum = 0;
  if (is_stored_tensor(value)) {
    const StoredTensor tensor = stored_tensor(content, value);
    int64_t last = 0;
    for (size_t d = 0; d < tensor.sizes.size() && tensor.count > 0; ++d)
      last += (tensor.sizes[d] - 1) * tensor.strides[d];
    const auto width = static_cast<int64_t>(dtype_size(tensor.type));
    if (tensor.count > 0) sum += tensor.data[0] + tensor.data[(last + 1) * width - 1];
  }
  for (const auto& item : value.items) sum += sum_of_ends(content, *item);
  for (const auto& [key, entry] : value.entries) sum += sum_of_ends(content, *entry);
  return sum;
}

inline void torch_content(std::string_view bytes) {
  const TorchContent content = read_torch_content(bytes, "input");
  [[maybe_unused]] volatile int64_t sum = sum_of_ends(content, *content.root);
}

/// The text files, a NUL between them: wnids.txt, words.txt, val_annotations.txt.
inline void tiny_imagenet(std::string_view bytes) {
  static const tests::TempFolder scratch;
  for (const char* file : {"wnids.txt", "words.txt", "val/val_annotations.txt"}) {
    const size_t end = std::min(bytes.find('\0'), bytes.size());
    tests::write_text(scratch / file, bytes.substr(0, end));
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  for (const char* wnid : {"n01443537", "n01629819"})
    std::filesystem::create_directories(scratch.path() / "train" / wnid / "images");
  data::list_tiny_imagenet(scratch.path(), {});
}

/// One file under the names of all batches.
inline void imagenet_npz(std::string_view bytes) {
  static const tests::TempFolder scratch;
  tests::write_text(scratch / "input.npz", bytes);
  for (int i = 0; i <= 10; ++i) {
    const auto name = i == 0 ? "val_data.npz" : "train_data_batch_" + std::to_string(i) + ".npz";
    std::error_code there;
    std::filesystem::create_symlink("input.npz", scratch.path() / name, there);
  }
  data::imagenet_npz_reader().read(scratch.path(), {});
}

inline void class_counts(std::string_view bytes) {
  std::vector<std::string> problems;
  synthetic::counts_of_lines(std::string(bytes), {"cat", "dog", "a=b"}, {"n1", "n2", "n3"},
                             problems);
  if (!problems.empty()) throw ConfigError::many("input", problems);
}

/// A target: `parse` by the name of its folder in the corpus.
struct Target {
  const char* name;
  void (*parse)(std::string_view bytes);
  bool needs_part = false;  ///< valid files are read only where the optional libraries are there
};
constexpr Target kTargets[] = {{"pickle", pickle},
                               {"npy", npy},
                               {"npy_strings", npy_strings},
                               {"safetensors", safetensors},
                               {"idx", idx},
                               {"cifar", cifar},
                               {"cifar_pickle", cifar_pickle},
                               {"npz", npz, true},
                               {"image", image, true},
                               {"toml", toml},
                               {"records", records},
                               {"gzip", gzip, true},
                               {"archive", archive, true},
                               {"torch_content", torch_content},
                               {"tiny_imagenet", tiny_imagenet},
                               {"imagenet_npz", imagenet_npz, true},
                               {"class_counts", class_counts}};

/// Parses; an Error is a fine answer, any other exception goes on.
inline bool accepts(const Target& target, std::string_view bytes) {
  try {
    target.parse(bytes);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace retort::fuzz
