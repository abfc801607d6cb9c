// The entry functions of the file parsers, shared by the fuzzers and the test that replays their
// corpus. Each may refuse its input with an Error and must do nothing worse. No torch here.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/cifar_binary.h"
#include "data/cifar_pickle.h"
#include "data/idx.h"
#include "data/npz.h"
#include "retort/core/error.h"
#include "retort/core/npy.h"
#include "retort/core/pickle.h"
#include "retort/core/safetensors.h"
#include "retort/data/image_file.h"

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

/// A target: `parse` by the name of its folder in the corpus.
struct Target {
  const char* name;
  void (*parse)(std::string_view bytes);
};
constexpr Target kTargets[] = {{"pickle", pickle}, {"npy", npy},     {"safetensors", safetensors},
                               {"idx", idx},       {"cifar", cifar}, {"cifar_pickle", cifar_pickle},
                               {"npz", npz},       {"image", image}};

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
