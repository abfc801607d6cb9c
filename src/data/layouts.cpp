// What the readers share. No torch here.
#include "data/layouts.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>

#include "core/file.h"
#include "core/sizes.h"
#include "data/imagenet_classes.h"
#include "retort/core/error.h"

namespace retort::data {

namespace fs = std::filesystem;

std::optional<fs::path> folder_holding(const fs::path& folder,
                                       std::initializer_list<const char*> subfolders,
                                       std::initializer_list<const char*> files) {
  std::error_code ignored;
  for (const char* sub : subfolders)
    for (const char* file : files) {
      const fs::path candidate = *sub ? folder / sub : folder;
      if (fs::is_regular_file(candidate / file, ignored)) return candidate;
    }
  return std::nullopt;
}

void require_file(const fs::path& path, const std::string& layout) {
  std::error_code ignored;
  if (fs::is_regular_file(path, ignored)) return;
  throw DataError({"reading '" + path.parent_path().string() + "' as " + layout,
                   "'" + path.filename().string() + "' is missing",
                   {},
                   "unpack the whole set there"});
}

std::vector<std::string> lines_of(const fs::path& path) {
  const std::string text = read_file(path, uint64_t{64} << 20);
  std::vector<std::string> lines;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    size_t last = end;
    while (last > start && std::isspace(static_cast<unsigned char>(text[last - 1]))) --last;
    lines.push_back(text.substr(start, last - start));
    start = end + 1;
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

std::vector<std::string> names_of(const fs::path& path, size_t count) {
  std::vector<std::string> names = lines_of(path);
  if (names.size() != count)
    throw DataError::damaged(path.string(), std::to_string(names.size()) + " class names",
                             std::to_string(count) + " names, one a line");
  return names;
}

void to_planes(const uint8_t* interleaved, int64_t pixels, int64_t channels, uint8_t* planes) {
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t i = 0; i < pixels; ++i) planes[c * pixels + i] = interleaved[i * channels + c];
}

void append_planes(std::vector<uint8_t>& out, const uint8_t* interleaved, int64_t pixels,
                   int64_t channels) {
  const size_t start = out.size();
  out.resize(start + to_size(pixels * channels));
  to_planes(interleaved, pixels, channels, out.data() + start);
}

void check_label(int64_t label, int64_t first, int64_t last, const std::string& path,
                 int64_t record) {
  if (label >= first && label <= last) return;
  throw DataError::damaged(
      path, "label " + std::to_string(label) + " in record " + std::to_string(record),
      "labels of " + std::to_string(first) + " to " + std::to_string(last));
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

std::string folder_name(const fs::path& path) {
  const fs::path plain = fs::absolute(path).lexically_normal();
  return (plain.has_filename() ? plain : plain.parent_path()).filename().string();
}

void make_unique(std::vector<std::string>& names, const std::vector<std::string>& ids) {
  std::map<std::string, int> times;
  for (const std::string& name : names) ++times[name];
  for (size_t i = 0; i < names.size(); ++i)
    if (times[names[i]] > 1) names[i] += " (" + ids[i] + ")";
}

bool are_characters(std::string_view name) {
  constexpr std::string_view kKnown[] = {"mnist", "emnist", "kmnist", "qmnist", "usps", "svhn"};
  return std::find(std::begin(kKnown), std::end(kKnown), name) != std::end(kKnown);
}

std::vector<std::string> digits() {
  return {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
}

Normalisation cifar10_normalisation() {
  return {{0.4914, 0.4822, 0.4465}, {0.2023, 0.1994, 0.2010}};
}

Normalisation imagenet_normalisation() {
  return {{0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}};
}

namespace {

const std::string kChoosing = "choosing the classes";

const ClassList* named_list(const std::string& name) {
  for (const ClassList& list : class_lists())
    if (list.name == name) return &list;
  return nullptr;
}

std::vector<int64_t> positions(const std::vector<std::string>& names, const std::string& name) {
  std::vector<int64_t> found;
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) found.push_back(to_int64(i));
  return found;
}

int64_t resolve(const std::string& wanted, const std::vector<std::string>& names,
                const std::vector<std::string>& ids) {
  if (const auto by_id = positions(ids, wanted); by_id.size() == 1) return by_id[0];
  const auto by_name = positions(names, wanted);
  if (by_name.size() > 1)
    throw ConfigError({kChoosing,
                       std::to_string(by_name.size()) + " classes are called '" + wanted + "'",
                       {},
                       "name it by its index or wnid"});
  if (by_name.size() == 1) return by_name[0];
  int64_t index = -1;
  const char* end = wanted.data() + wanted.size();
  if (const auto [stop, error] = std::from_chars(wanted.data(), end, index);
      error == std::errc() && stop == end && index >= 0 && index < std::ssize(names))
    return index;
  std::vector<std::string> candidates = names;
  for (const ClassList& list : class_lists()) candidates.push_back(list.name);
  throw ConfigError::unknown(kChoosing, "class", wanted, candidates);
}

std::vector<int64_t> resolve_list(const ClassList& list, const std::vector<std::string>& names,
                                  const std::vector<std::string>& ids) {
  std::vector<int64_t> kept;
  for (const int64_t index : list.imagenet_indices) {
    const std::string& wnid = imagenet_wnids()[to_size(index)];
    auto found = positions(ids, wnid);
    if (found.empty()) found = positions(names, wnid);
    if (found.empty())
      throw ConfigError(
          {kChoosing,
           "class " + wnid + " (" + imagenet_name(index) + ") of the list '" + list.name +
               "' is not in the data",
           "ImageNet folders whose class folders are wnids, and ImageNet's npz batches",
           "point to such data, or name classes that are there"});
    kept.push_back(found[0]);
  }
  return kept;
}

void relabel(RawImages& part, const ClassChoice& choice, size_t image_bytes) {
  size_t kept = 0;
  for (size_t i = 0; i < part.labels.size(); ++i) {
    const int64_t label = choice.new_label[to_size(part.labels[i])];
    if (label < 0) continue;
    if (kept != i)
      std::copy_n(part.pixels.data() + i * image_bytes, image_bytes,
                  part.pixels.data() + kept * image_bytes);
    part.labels[kept++] = label;
  }
  part.labels.resize(kept);
  part.pixels.resize(kept * image_bytes);
  part.pixels.shrink_to_fit();
}

}  // namespace

ClassChoice choose_classes(const std::vector<std::string>& names,
                           const std::vector<std::string>& ids,
                           const std::vector<std::string>& wanted) {
  ClassChoice choice;
  const ClassList* list =
      wanted.size() == 1 && positions(names, wanted[0]).empty() ? named_list(wanted[0]) : nullptr;
  if (list) choice.kept = resolve_list(*list, names, ids);
  for (size_t i = 0; !list && i < wanted.size(); ++i)
    choice.kept.push_back(resolve(wanted[i], names, ids));
  for (size_t i = 0; wanted.empty() && i < names.size(); ++i) choice.kept.push_back(to_int64(i));
  choice.new_label.assign(names.size(), -1);
  for (size_t i = 0; i < choice.kept.size(); ++i) {
    const size_t old = to_size(choice.kept[i]);
    int64_t& label = choice.new_label[old];
    if (label >= 0)
      throw ConfigError({kChoosing, "class '" + names[old] + "' is asked for twice",
                         "each class once", "leave it out of --classes once"});
    label = to_int64(i);
  }
  return choice;
}

std::vector<std::string> chosen(const std::vector<std::string>& texts, const ClassChoice& choice) {
  std::vector<std::string> kept;
  for (const int64_t old : choice.kept) kept.push_back(texts[to_size(old)]);
  return kept;
}

void keep_classes(RawDataset& raw, const std::vector<std::string>& wanted) {
  if (wanted.empty()) return;
  const ClassChoice choice = choose_classes(raw.class_names, raw.class_ids, wanted);
  const size_t image_bytes = to_size(raw.channels * raw.height * raw.width);
  relabel(raw.train, choice, image_bytes);
  relabel(raw.test, choice, image_bytes);
  raw.class_names = chosen(raw.class_names, choice);
  if (!raw.class_ids.empty()) raw.class_ids = chosen(raw.class_ids, choice);
}

}  // namespace retort::data
