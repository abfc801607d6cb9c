// Labels out of the arrays of .npz files. No torch here.
#include "data/npz_labels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "core/sizes.h"
#include "data/npz_images.h"
#include "data/npz_numbers.h"
#include "retort/core/error.h"

namespace retort::data {
namespace {

constexpr const char* kAccepted =
    "one class for each image: whole numbers [N] or [N, 1], one-hot rows [N, K], or texts [N]";

[[noreturn]] void refuse(const std::string& path, const std::string& found,
                         const std::string& advice) {
  throw DataError({"reading '" + path + "'", found, kAccepted, advice});
}

[[noreturn]] void refuse_number(const std::string& path, const std::string& name, size_t record,
                                double value) {
  refuse(path,
         "'" + name + "' holds " + std::to_string(value) + " in record " + std::to_string(record) +
             ", which is no class number",
         "labels are whole numbers; class numbers of texts or values come from "
         "np.unique(labels, return_inverse=True)[1]");
}

/// The class of a row that holds a single 1 among zeros.
std::vector<int64_t> one_hot(const NpyArray& array, const std::string& name,
                             const std::string& path) {
  const auto rows = to_size(array.shape[0]);
  const auto classes = to_size(array.shape[1]);
  std::vector<int64_t> values;
  for (size_t n = 0; n < rows; ++n) {
    int64_t found = -1;
    int ones = 0;
    for (size_t k = 0; k < classes; ++k) {
      const double value = number_at(array, n * classes + k);
      if (value == 1) {
        ++ones;
        found = to_int64(k);
      } else if (value != 0) {
        refuse(path,
               array_text(name, array) + ", and row " + std::to_string(n) + " is not one-hot (" +
                   std::to_string(value) + ")",
               "take the largest of each row: labels.argmax(1)");
      }
    }
    if (ones != 1)
      refuse(path,
             array_text(name, array) + ", and row " + std::to_string(n) + " names " +
                 std::to_string(ones) + " classes: labels of several classes for an image",
             "choose one class for each image, or one column as a set of two classes: "
             "labels[:, 0]");
    values.push_back(found);
  }
  return values;
}

LabelArray texts(std::vector<std::string> read, const std::string& path, const std::string& name,
                 const std::vector<std::string>& known) {
  LabelArray labels;
  const std::set<std::string> found(read.begin(), read.end());
  labels.names = known.empty() ? std::vector<std::string>(found.begin(), found.end()) : known;
  for (const std::string& text : read) {
    const auto at = std::find(labels.names.begin(), labels.names.end(), text);
    if (at == labels.names.end())
      refuse(path, "'" + name + "' holds the class '" + text + "', which has no training images",
             "leave its images out, or add training images of it");
    labels.values.push_back(at - labels.names.begin());
  }
  return labels;
}

}  // namespace

std::vector<int64_t> integers_of(const NpyArray& array, const std::string& name,
                                 const std::string& path) {
  const bool flat = array.shape.size() == 1 || (array.shape.size() == 2 && array.shape[1] == 1);
  if (!flat) refuse(path, array_text(name, array), "save the class numbers as int64 [N]");
  std::vector<int64_t> values(count_of(array));
  for (size_t i = 0; i < values.size(); ++i) {
    if (array.dtype == DType::kI64) {
      std::memcpy(&values[i], array.data.data() + i * sizeof(int64_t), sizeof(int64_t));
      continue;
    }
    const double value = number_at(array, i);
    if (!(std::abs(value) < 1e15) || value != std::floor(value))
      refuse_number(path, name, i, value);
    values[i] = static_cast<int64_t>(value);
  }
  return values;
}

LabelArray read_labels(const std::string& bytes, const std::string& path, const std::string& name,
                       const std::vector<std::string>& known) {
  const std::string place = path + ":" + name;
  if (npy_is_text(bytes, place)) return texts(parse_npy_strings(bytes, place), path, name, known);
  const NpyArray array = parse_npy(bytes, place);
  if (array.shape.size() == 2 && array.shape[1] > 1) return {one_hot(array, name, path), {}};
  return {integers_of(array, name, path), {}};
}

}  // namespace retort::data
