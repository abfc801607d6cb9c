// Tiny-ImageNet: wnids.txt (the classes in order), words.txt (their names),
// train/WNID/images/*.JPEG, val/images and val/val_annotations.txt ("file<tab>wnid<tab>box"). The
// val part is the test part; the unlabelled test/ is left alone. No torch here.
#include "data/tiny_imagenet.h"

#include <map>

#include "data/decode.h"
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

std::vector<LabelledFile> train_files(const fs::path& folder, const std::vector<std::string>& ids,
                                      const ClassChoice& choice) {
  std::vector<LabelledFile> files;
  for (size_t label = 0; label < choice.kept.size(); ++label) {
    const fs::path images = folder / "train" / ids[choice.kept[label]];
    if (!fs::is_directory(images / "images"))
      throw DataError({"reading '" + folder.string() + "' as Tiny-ImageNet",
                       "the folder '" + (images / "images").string() + "' is missing",
                       "a folder for each class of wnids.txt", "unpack the whole set there"});
    for (const fs::path& file : image_files(images / "images"))
      files.push_back({file, static_cast<int64_t>(label)});
  }
  return files;
}

std::vector<LabelledFile> val_files(const fs::path& folder,
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
    const int64_t kept = choice.new_label[label->second];
    if (kept >= 0) files.push_back({folder / "val" / "images" / file, kept});
  }
  return files;
}

RawDataset read_tiny(const fs::path& path, const ReadOptions& options) {
  Listing listing = list_tiny_imagenet(path, options);
  decode_files(listing.train, listing.test, options, listing.raw);
  return std::move(listing.raw);
}

}  // namespace

Listing list_tiny_imagenet(const fs::path& path, const ReadOptions& options) {
  const fs::path folder = *find_tiny(path);
  const std::vector<std::string> wnids = lines_of(folder / "wnids.txt");
  const auto names = words(folder / "words.txt");
  Listing listing;
  RawDataset& raw = listing.raw;
  raw.name = "tiny-imagenet";
  raw.reader = "Tiny-ImageNet";
  raw.published = imagenet_normalisation();
  std::map<std::string, int64_t> labels;
  std::vector<std::string> all_names;
  for (const std::string& wnid : wnids) {
    labels[wnid] = static_cast<int64_t>(labels.size());
    const auto name = names.find(wnid);
    all_names.push_back(name == names.end() ? wnid : name->second);
  }
  if (wnids.empty() || labels.size() != wnids.size())
    throw DataError::damaged((folder / "wnids.txt").string(), "no wnid, or one that comes twice",
                             "one wnid a line");
  const ClassChoice choice = choose_classes(all_names, wnids, options.classes);
  for (const int64_t old : choice.kept) {
    raw.class_names.push_back(all_names[old]);
    raw.class_ids.push_back(wnids[old]);
  }
  listing.train = train_files(folder, wnids, choice);
  listing.test = val_files(folder, labels, choice);
  return listing;
}

Reader tiny_imagenet_reader() {
  return {"tiny-imagenet",
          "Tiny-ImageNet: wnids.txt, words.txt, train/WNID/images, val/images and "
          "val/val_annotations.txt",
          [](const fs::path& folder) { return find_tiny(folder).has_value(); }, read_tiny};
}

}  // namespace retort::data
