// Where everything of a packed set will lie in its file, known before an image is read.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/file.h"
#include "data/pack.h"
#include "data/pack_source.h"
#include "io/safetensors.h"

namespace retort::data {

/// Where an image of all parts comes from, and where it and its hash stand in the file.
struct PackedImage {
  const PackPart& part;
  int64_t row;
  uint64_t pixels, hash;
};

/// The plan of one file. `input` and `source` must outlive it.
class PackPlan {
 public:
  PackPlan(const PackInput& input, const PackSource& source);

  int64_t images() const;                        ///< of all parts, as often as they are written
  uint64_t file_bytes() const { return size_; }  ///< of the whole file
  int64_t copies(const PackPart& part) const { return part.name == "train" ? input_.repeat : 1; }
  /// Names the plan: another source, state or set of options gives another.
  std::string key() const;

  /// The header of what is known before an image is read.
  const std::string& first_header() const { return header_; }
  /// The header of the finished file, sealed; as long as the first.
  std::string last_header(const std::string& hash, const Normalisation& measured,
                          const std::vector<std::string>& notes, const MappedFile& file) const;

  uint64_t place_of(const std::string& tensor) const { return places_.at(tensor); }
  /// An image by its number through all parts.
  PackedImage image(int64_t index) const;
  /// The tensors where they are in the file.
  std::map<std::string, RawTensor> tensors_in(const MappedFile& file) const;

 private:
  std::string header(const std::string& hash, const Normalisation& measured,
                     const std::vector<std::string>& notes) const;
  int64_t size_of(const PackPart& part) const;

  const PackInput& input_;
  const PackSource& source_;
  std::map<std::string, RawTensor> shapes_;
  std::map<std::string, uint64_t> places_;
  std::string header_;
  uint64_t size_ = 0;
};

}  // namespace retort::data
