// Tiny-ImageNet: wnids.txt (the classes, sorted here), words.txt (their names),
// train/WNID/images/*.JPEG, val/images and val/val_annotations.txt ("file<tab>wnid<tab>box"), or
// val/WNID where somebody sorted it. The val part is the test part; the unlabelled test/ is left
// alone. No torch here.
#include "data/tiny_imagenet.h"

#include <algorithm>
#include <map>

#include "core/sizes.h"
#include "data/decode.h"
#include "data/image_files.h"
#include "data/layouts.h"
#include "retort/core/error.h"

namespace retort::data {

namespace fs = std::filesystem;

namespace {

std::optional<fs::path> find_tiny(const fs::path& folder) {
  return folder_holding(folder, {"", "tiny-imagenet-200"}, {"wnids.txt"});
}

// "n01443537<tab>goldfish, Carassius auratus" gives goldfish.
std::map<std::string, std::string> words(const fs::path& file) {
  std::map<std::string, std::string> names;
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return names;
  for (const std::string& line : lines_of(file))
    if (const size_t tab = line.find('\t'); tab != std::string::npos)
      names[line.substr(0, tab)] = line.substr(tab + 1, line.find(',', tab) - tab - 1);
  return names;
}

/// Whether it names something in a folder, and nothing elsewhere.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos;
}

/// The images of one class: in images/ below its folder, or in the folder itself.
std::vector<fs::path> class_images(const fs::path& folder) {
  std::error_code ignored;
  PassedOver passed;  // the boxes' text files
  return image_files(fs::is_directory(folder / "images", ignored) ? folder / "images" : folder,
                     passed);
}

std::vector<LabelledFile> sorted_files(const fs::path& part, const std::vector<std::string>& ids,
                                       const ClassChoice& choice) {
  std::vector<LabelledFile> files;
  const std::vector<std::string> kept = chosen(ids, choice);
  for (size_t label = 0; label < kept.size(); ++label) {
    const fs::path folder = part / kept[label];
    if (!fs::is_directory(folder))
      throw DataError({"reading '" + part.string() + "' as Tiny-ImageNet",
                       "the folder '" + folder.string() + "' is missing",
                       "a folder for each class of wnids.txt", "unpack the whole set there"});
    for (const fs::path& file : class_images(folder)) files.push_back({file, to_int64(label)});
  }
  return files;
}

std::vector<LabelledFile> annotated_files(const fs::path& folder,
                                          const std::map<std::string, int64_t>& labels,
                                          const ClassChoice& choice) {
  const fs::path annotations = folder / "val" / "val_annotations.txt";
  require_file(annotations, "Tiny-ImageNet");
  std::vector<LabelledFile> files;
  int64_t line_number = 0;
  for (const std::string& line : lines_of(annotations)) {
    ++line_number;
    const size_t tab = line.find('\t');
    const std::string file = line.substr(0, tab);
    const std::string wnid =
        tab == std::string::npos ? "" : line.substr(tab + 1, line.find('\t', tab + 1) - tab - 1);
    const auto label = labels.find(wnid);
    if (label == labels.end())
      throw DataError::damaged(annotations.string(),
                               "line " + std::to_string(line_number) + " has the class '" + wnid +
                                   "', which is not in wnids.txt",
                               "a file name, a tab and a wnid");
    if (!is_plain_name(file))
      throw DataError::damaged(annotations.string(),
                               "line " + std::to_string(line_number) + " names the file '" + file +
                                   "', which is not in val/images",
                               "a file name, a tab and a wnid");
    const int64_t kept = choice.new_label[to_size(label->second)];
    if (kept >= 0) files.push_back({folder / "val" / "images" / file, kept});
  }
  return files;
}

/// As released: val/images with annotations. As PyTorch's folders want it: val/WNID.
std::vector<LabelledFile> val_files(const fs::path& folder,
                                    const std::map<std::string, int64_t>& labels,
                                    const std::vector<std::string>& ids,
                                    const ClassChoice& choice) {
  std::error_code ignored;
  const bool sorted = std::any_of(ids.begin(), ids.end(), [&](const std::string& id) {
    return fs::is_directory(folder / "val" / id, ignored) && holds_images(folder / "val" / id);
  });
  return sorted ? sorted_files(folder / "val", ids, choice)
                : annotated_files(folder, labels, choice);
}

RawDataset read_tiny(const fs::path& path, const ReadOptions& options) {
  Listing listing = list_tiny_imagenet(path, options);
  decode_files(listing.train, listing.test, options, listing.raw);
  return std::move(listing.raw);
}

}  // namespace

Listing list_tiny_imagenet(const fs::path& path, const ReadOptions& options) {
  const fs::path folder = *find_tiny(path);
  // wnids.txt is unsorted as released; published sets and networks number the classes in ascending
  // order of their wnids.
  std::vector<std::string> wnids = lines_of(folder / "wnids.txt");
  for (const std::string& wnid : wnids)
    if (!is_plain_name(wnid))
      throw DataError::damaged((folder / "wnids.txt").string(),
                               "a line '" + wnid + "', which is no wnid", "one wnid a line");
  std::sort(wnids.begin(), wnids.end());
  const auto names = words(folder / "words.txt");
  Listing listing;
  RawDataset& raw = listing.raw;
  raw.name = "tiny-imagenet";
  raw.reader = "Tiny-ImageNet";
  raw.published = imagenet_normalisation();
  std::map<std::string, int64_t> labels;
  std::vector<std::string> all_names;
  for (const std::string& wnid : wnids) {
    labels[wnid] = std::ssize(labels);
    const auto name = names.find(wnid);
    all_names.push_back(name == names.end() ? wnid : name->second);
  }
  if (wnids.empty() || labels.size() != wnids.size())
    throw DataError::damaged((folder / "wnids.txt").string(), "no wnid, or one that comes twice",
                             "one wnid a line");
  make_unique(all_names, wnids);
  const ClassChoice choice = choose_classes(all_names, wnids, options.classes);
  raw.class_names = chosen(all_names, choice);
  raw.class_ids = chosen(wnids, choice);
  listing.train = sorted_files(folder / "train", wnids, choice);
  listing.test = val_files(folder, labels, wnids, choice);
  return listing;
}

Reader tiny_imagenet_reader() {
  return {"tiny-imagenet",
          "Tiny-ImageNet: wnids.txt, words.txt, train/WNID/images, and val/images with "
          "val/val_annotations.txt or val/WNID",
          [](const fs::path& folder) { return find_tiny(folder).has_value(); }, read_tiny,
          list_tiny_imagenet};
}

}  // namespace retort::data
