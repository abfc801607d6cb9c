// How the rows of a data set were dealt out to its parts: part of the identity of everything that
// is made from them, so that nothing is tested on images that it was made from.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace retort::data {

struct Dataset;

/// The settings of a split, and what came out of it.
struct SplitIdentity {
  double test_fraction = 0;        ///< 0: the source has a test part of its own
  double validation_fraction = 0;  ///< 0: none was split off
  int64_t seed = 0;
  /// Each part as "1651 images, 0123456789abcdef"; empty where there is none.
  std::string train, validation, test;

  bool known() const { return !train.empty(); }
  bool operator==(const SplitIdentity&) const = default;
  std::string text() const;   ///< JSON, for metadata; empty where it is not known
  std::string words() const;  ///< "20 % of every class split off as test (seed 5)"
  std::string flags() const;  ///< "--test-fraction 0.2 --split-seed 5"
};

/// From text(); not known where the text is empty, nothing where it is damaged.
std::optional<SplitIdentity> parse_split(const std::string& text);

/// Number of images and a hash of one part: of its labels and of one row of pixels of every image
/// (of some 100,000 of them, evenly spaced, where there are more), so that a mapped set of any size
/// costs little.
std::string part_identity(const at::Tensor& images, const at::Tensor& labels);

/// What something was made from: a set, experts, a teacher, labels.
struct MadeFrom {
  std::string what;       ///< "the set 'a.safetensors'"
  std::string data_hash;  ///< empty where it is not known
  SplitIdentity split;
};

/// StateError naming both splits where the data are dealt out otherwise than `made` was, or where
/// its data changed while the test part is one that is split off here. The text that is returned is
/// a note for the user where it cannot be told, else empty.
std::string check_split(const MadeFrom& made, const std::string& doing, const Dataset& data);
/// The same of two things that are made from the same data and used together, such as a set and a
/// teacher.
void check_split(const MadeFrom& made, const std::string& doing, const MadeFrom& other);

}  // namespace retort::data
