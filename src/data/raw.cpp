// The table of readers, and what is checked and changed after reading. No torch here.
#include "retort/data/raw.h"

#include <algorithm>

#include "core/sizes.h"
#include "data/cifar_binary.h"
#include "data/cifar_pickle.h"
#include "data/containers.h"
#include "data/decode.h"
#include "data/idx.h"
#include "data/image_files.h"
#include "data/image_folder.h"
#include "data/layouts.h"
#include "data/npz.h"
#include "data/svhn.h"
#include "data/tiny_imagenet.h"
#include "retort/core/error.h"
#include "retort/data/image_file.h"

namespace retort::data {

namespace fs = std::filesystem;

const std::vector<Reader>& readers() {
  static const std::vector<Reader> table = {cifar10_binary_reader(),
                                            cifar10_pickle_reader(),
                                            cifar100_binary_reader(),
                                            cifar100_pickle_reader(),
                                            idx_reader(),
                                            svhn_reader(),
                                            imagenet_npz_reader(),
                                            npz_reader(),
                                            npy_reader(),
                                            tiny_imagenet_reader(),
                                            image_folder_reader()};  // the last recognises the most
  return table;
}

namespace {

constexpr int kNamesShown = 8;

std::string known_layouts() {
  std::string text = "one of these layouts";
  for (const Reader& reader : readers()) text += "\n    " + reader.summary;
  return text;
}

std::string contents(const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return "a file that no reader knows";
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(path, ignored))
    names.push_back(entry.path().filename().string() + (entry.is_directory(ignored) ? "/" : ""));
  if (names.empty()) return "an empty folder";
  std::sort(names.begin(), names.end());
  const size_t shown = std::min<size_t>(names.size(), kNamesShown);
  std::string text = "no layout that a reader knows; the folder holds ";
  for (size_t i = 0; i < shown; ++i) text += (i ? ", " : "") + names[i];
  if (shown < names.size()) text += " and " + std::to_string(names.size() - shown) + " more";
  return text;
}

/// The last one takes folders of images, which other layouts have too.
bool takes_any(const Reader& reader) {
  return &reader == &readers().back();
}

std::vector<const Reader*> recognising(const fs::path& path) {
  std::vector<const Reader*> found;
  for (const Reader& reader : readers())
    if (reader.recognises(path)) found.push_back(&reader);
  return found;
}

/// The sets right below a folder, or that a file belongs to, as a question.
std::string sets_nearby(const fs::path& path) {
  std::error_code ignored;
  std::vector<fs::path> places;
  if (fs::is_directory(path, ignored))
    for (const auto& entry : fs::directory_iterator(path, ignored))
      if (!is_leftover(entry.path().filename().string())) places.push_back(entry.path());
  if (places.empty()) places = {fs::absolute(path).parent_path()};
  std::sort(places.begin(), places.end());
  std::string text;
  int found = 0;
  for (const fs::path& place : places)
    if (const auto readers_of_it = recognising(place);
        !readers_of_it.empty() && !takes_any(*readers_of_it[0]) && found++ < kNamesShown)
      text += (found > 1 ? " or '" : "did you mean '") + place.string() + "' (" +
              readers_of_it[0]->name + ")";
  return text.empty() ? text : text + "?";
}

[[noreturn]] void refuse_unknown(const fs::path& path) {
  const std::string doing = "reading '" + path.string() + "'";
  if (const std::string advice = sets_nearby(path); !advice.empty())
    throw DataError({doing, contents(path), known_layouts(), advice});
  if (const auto container = known_container(path))
    throw DataError({doing, "it is " + container->kind, {}, container->advice});
  throw DataError({doing, contents(path), known_layouts(),
                   "point to the folder that holds the files themselves; archives must be unpacked "
                   "first"});
}

[[noreturn]] void refuse_missing(const fs::path& path) {
  if (path.string().starts_with("~"))
    throw DataError({"reading '" + path.string() + "'",
                     "it is not there: the shell left '~' as it is",
                     {},
                     "write it without quotes at the start of a word, or as $HOME"});
  throw DataError::missing(path.string(), known_layouts());
}

void note_other_sets(const fs::path& path, const std::vector<const Reader*>& found,
                     RawDataset& raw) {
  for (size_t i = 1; i < found.size(); ++i)
    if (!takes_any(*found[i]))
      raw.notes.push_back("read as " + raw.reader + "; the folder also looks like " +
                          found[i]->summary);
  if (found.size() < 2 || !takes_any(*found.back()) || found[0]->list) return;
  std::string names;
  for (const std::string& name : folders_in(path))
    if (holds_images(path / name)) names += (names.empty() ? "'" : ", '") + name + "'";
  if (!names.empty())
    raw.notes.push_back("read as " + raw.reader + "; folders of images are not used: " + names);
}

// [C, H, W] to the asked size and channels.
void convert(RawImages& part, const RawDataset& raw, int64_t side, int64_t channels, Fit fit) {
  const int64_t pixels = raw.height * raw.width;
  const int64_t new_pixels = side > 0 ? side * side : pixels;
  std::vector<uint8_t> converted;
  converted.reserve(to_size(part.size() * new_pixels * channels));
  DecodedImage image{raw.width, raw.height, raw.channels, {}};
  image.pixels.resize(to_size(pixels * raw.channels));
  for (int64_t n = 0; n < part.size(); ++n) {
    const uint8_t* planes = part.pixels.data() + n * pixels * raw.channels;
    uint8_t* pixel = image.pixels.data();
    for (int64_t i = 0; i < pixels; ++i)
      for (int64_t c = 0; c < raw.channels; ++c) *pixel++ = planes[c * pixels + i];
    const DecodedImage changed =
        to_channels(side > 0 ? to_square(image, side, fit) : image, channels);
    append_planes(converted, changed.pixels.data(), new_pixels, channels);
  }
  part.pixels = std::move(converted);
}

void conform(RawDataset& raw, const ReadOptions& options) {
  const bool resize = options.resolution > 0 && !raw.fitted &&
                      (raw.height != options.resolution || raw.width != options.resolution ||
                       options.fit == Fit::kEvalCrop);
  const bool to_grey = options.greyscale && raw.channels != 1;
  if (!resize && !to_grey) return;
  const int64_t side = resize ? options.resolution : 0;
  const int64_t channels = to_grey ? 1 : raw.channels;
  const bool has_test = raw.test.size() > 0;
  convert(raw.train, raw, side, channels, fit_of(options, /*is_test=*/false, has_test));
  convert(raw.test, raw, side, channels, fit_of(options, /*is_test=*/true, has_test));
  if (resize) raw.height = raw.width = side;
  raw.channels = channels;
}

// A set that turns out grey, or is made so, has no use for the values of three colours.
void drop_unfit_published(RawDataset& raw) {
  if (raw.published && std::ssize(raw.published->mean) != raw.channels) raw.published.reset();
}

// Values of 0 to 16, or 12 bits in the high bytes of 16, look black and train badly.
void note_dark_images(RawDataset& raw) {
  constexpr uint8_t kQuarter = 63;
  uint8_t most = 0;
  for (const RawImages* part : {&raw.train, &raw.test})
    for (size_t i = 0; i < part->pixels.size() && most <= kQuarter; ++i)
      most = std::max(most, part->pixels[i]);
  if (most <= kQuarter)
    raw.notes.push_back("the largest pixel value is " + std::to_string(most) +
                        " of 255: the images are nearly black; if they are not meant so, scale "
                        "their values to 0 to 255");
}

void check(const RawDataset& raw, const std::string& path) {
  if (raw.class_names.size() < 2)
    throw DataError({"reading '" + path + "'",
                     std::to_string(raw.class_names.size()) + " class" +
                         (raw.class_names.size() == 1 ? "" : "es"),
                     "at least two classes", "add a class, or keep more of them with --classes"});
  std::vector<int64_t> counts(raw.class_names.size());
  for (const int64_t label : raw.train.labels) ++counts.at(to_size(label));
  for (size_t c = 0; c < counts.size(); ++c)
    if (counts[c] == 0)
      throw DataError(
          {"reading '" + path + "'",
           "class " + std::to_string(c) + " ('" + raw.class_names[c] + "') has no training images",
           "at least one training image for each class",
           "leave the class out with --classes, or number the classes without gaps"});
}

}  // namespace

void finish_reading(RawDataset& raw, const ReadOptions& options, const std::string& origin) {
  if (options.coarse_labels && !raw.has_coarse_labels)
    throw ConfigError({"reading '" + origin + "' with coarse labels",
                       raw.reader + " has one set of labels", "coarse labels for CIFAR-100",
                       "leave --label-set out"});
  conform(raw, options);
  drop_unfit_published(raw);
  note_dark_images(raw);
  check(raw, origin);
}

RawDataset read_dataset(const fs::path& path, const ReadOptions& options) try {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) refuse_missing(path);
  const auto found = recognising(path);
  if (found.empty()) refuse_unknown(path);
  RawDataset raw = found[0]->read(path, options);
  finish_reading(raw, options, path.string());
  note_other_sets(path, found, raw);
  return raw;
} catch (const fs::filesystem_error& error) {
  throw DataError({"reading '" + path.string() + "'", error.what(), {}, "check the permissions"});
}

}  // namespace retort::data
