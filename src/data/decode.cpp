// Image files decoded on several threads. The memory for a set is counted before it is taken, once:
// a set that proves grey is packed in place, and so are the gaps of damaged files. No torch here.
#include "data/decode.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "core/file.h"
#include "core/memory.h"
#include "core/sizes.h"
#include "data/in_parallel.h"
#include "data/layouts.h"
#include "data/reading_progress.h"
#include "retort/core/error.h"

namespace retort::data {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kFileLimit = uint64_t{256} << 20;
constexpr size_t kFilesShown = 20;

std::string size_text(int64_t width, int64_t height) {
  return std::to_string(width) + " x " + std::to_string(height);
}

/// What is wrong with the file, out of the error's whole message.
std::string reason_of(const Error& error, const fs::path& path) {
  std::string text = error.what();
  for (const char* end : {"\n  accepted: ", "\n  what to do: "})
    text = text.substr(0, text.find(end));
  const std::string doing = "reading '" + path.string() + "': ";
  if (text.starts_with(doing)) text.erase(0, doing.size());
  if (text.ends_with('.')) text.pop_back();
  return text;
}

/// Up to so many files, each on a line of its own.
std::string listed(const ImageFiles& files) {
  std::string text;
  size_t shown = 0;
  for (const auto& [i, reason] : files.damaged()) {
    if (shown++ == kFilesShown) break;
    text += "\n    '" + files.file(i).path.string() + "': " + reason;
  }
  if (files.damaged().size() > kFilesShown)
    text += "\n    and " + std::to_string(files.damaged().size() - kFilesShown) + " more";
  return text;
}

std::vector<LabelledFile> without(const std::vector<LabelledFile>& files, int64_t first,
                                  const std::map<int64_t, std::string>& damaged) {
  std::vector<LabelledFile> kept;
  for (size_t i = 0; i < files.size(); ++i)
    if (!damaged.contains(first + to_int64(i))) kept.push_back(files[i]);
  return kept;
}

}  // namespace

Fit fit_of(const ReadOptions& options, bool is_test, bool has_test) {
  return options.fit == Fit::kEvalCrop && has_test && !is_test ? Fit::kCrop : options.fit;
}

ImageFiles::ImageFiles(std::vector<LabelledFile> train_files, std::vector<LabelledFile> test_files,
                       const ReadOptions& options)
    : train(std::move(train_files)), test(std::move(test_files)), options_(options) {
  if (options.greyscale) channels = 1;
  if (options.fit == Fit::kEvalCrop && test.empty())
    notes.push_back(
        "no test part in the source: --resize eval-crop is applied to all images alike");
}

const LabelledFile& ImageFiles::file(int64_t i) const {
  const auto at = to_size(i);
  return at < train.size() ? train[at] : test[at - train.size()];
}

/// Damage is noted; anything else, such as a lack of memory or of a library, ends the reading.
template <class Work>
void ImageFiles::look(const char* doing, const Work& work, const StopFlag* stop) {
  std::map<int64_t, std::string> found;
  ReadingProgress progress(options_.progress, doing, size());
  in_parallel(0, size(), options_.threads, [&](int64_t i) {
    if (damaged_.contains(i) || (stop && stop->requested())) return;
    const auto note = [&](const Error& error) {
      const std::lock_guard<std::mutex> lock(mutex_);
      found.emplace(i, reason_of(error, file(i).path));
    };
    try {
      work(i);
    } catch (const DataError& error) {
      note(error);
    } catch (const ResourceError& error) {
      if (::access(file(i).path.c_str(), R_OK) == 0) throw;
      note(error);
    }
    progress.one_more();
  });
  damaged_.merge(found);
}

void ImageFiles::measure(const StopFlag* stop) {
  width = height = options_.resolution;
  if (options_.resolution > 0) return;
  std::vector<std::array<int32_t, 2>> sizes(to_size(size()));
  std::atomic<bool> grey{true};
  look(
      "reading the headers of images",
      [&](int64_t i) {
        const DecodedImage header = decode_header(read_file(file(i).path, kFileLimit),
                                                  file(i).path.string(), options_.upright);
        sizes[to_size(i)] = {static_cast<int32_t>(header.width),
                             static_cast<int32_t>(header.height)};
        if (header.channels != 1) grey = false;
      },
      stop);
  int64_t first = -1;
  for (int64_t i = 0; i < size(); ++i) {
    const auto& found = sizes[to_size(i)];
    if (found[0] == 0) continue;
    if (first < 0) {
      first = i;
      width = found[0];
      height = found[1];
    } else if (found[0] != width || found[1] != height) {
      throw DataError(
          {"reading the image files",
           "'" + file(first).path.string() + "' is " + size_text(width, height) + " and '" +
               file(i).path.string() + "' is " + size_text(found[0], found[1]),
           "images of one size", "pass --resolution N to bring all to N x N (--resize says how)"});
    }
  }
  if (grey && first >= 0) channels = 1;
}

DecodedImage ImageFiles::decode(int64_t i) {
  const LabelledFile& one = file(i);
  DecodedImage image =
      decode_image(read_file(one.path, kFileLimit), one.path.string(), options_.upright);
  const bool is_test = i >= std::ssize(train);
  if (options_.resolution > 0)
    image = to_square(image, options_.resolution, fit_of(options_, is_test, !test.empty()));
  if (image.width != width || image.height != height)
    throw DataError::damaged(one.path.string(),
                             "its pixels are " + size_text(image.width, image.height) +
                                 ", its header or the other files say " + size_text(width, height));
  const std::lock_guard<std::mutex> lock(mutex_);
  findings.add(image.facts);
  if (image.channels != 1) all_grey = false;
  return image;
}

void ImageFiles::each(const std::function<void(int64_t, const DecodedImage&)>& take,
                      const StopFlag* stop) {
  look(
      "reading images", [&](int64_t i) { take(i, decode(i)); }, stop);
}

void ImageFiles::settle_damaged() {
  if (damaged_.empty()) return;
  const std::string count = std::to_string(damaged_.size()), all = std::to_string(size());
  if (!options_.skip_damaged)
    throw DataError({"reading the image files",
                     count + " of " + all + " cannot be read:" + listed(*this),
                     {},
                     "fetch them again, convert or remove them, or give --skip-damaged to go on "
                     "without them"});
  std::string note = "passed over " + count + " of " + all +
                     " image files that cannot be read (--skip-damaged):" + listed(*this);
  notes.push_back(std::move(note));
  const bool had_test = !test.empty();
  auto kept = without(train, 0, damaged_);
  test = without(test, std::ssize(train), damaged_);
  train = std::move(kept);
  damaged_.clear();
  if (had_test && test.empty())
    throw DataError({"reading the image files", "none of the test part's files can be read",
                     "a test part with images",
                     "fetch it again, or remove it: then a part is split off"});
}

namespace {

/// Images in one block for each part, in the order of the files.
class Slots {
 public:
  explicit Slots(ImageFiles& files) : files_(files), pixels_(files.width * files.height) {
    const int64_t bytes = files.size() * image_bytes();
    const std::string doing = "reading " + std::to_string(files.size()) + " images of " +
                              size_text(files.width, files.height);
    const std::string advice =
        "write them into one mapped file with 'retort pack' and give that as --data, or lower "
        "--resolution, or keep fewer --classes";
    require_memory(doing, bytes, advice);
    if (files.test.empty())
      require_memory(doing + " and splitting a test part off, which copies them", 2 * bytes,
                     advice);
    train_.resize(files.train.size() * to_size(image_bytes()));
    test_.resize(files.test.size() * to_size(image_bytes()));
  }

  void put(int64_t i, const DecodedImage& image) {
    const DecodedImage plain = to_channels(image, files_.channels);
    const auto trained = std::ssize(files_.train);
    uint8_t* slot = i < trained ? train_.data() + i * image_bytes()
                                : test_.data() + (i - trained) * image_bytes();
    to_planes(plain.pixels.data(), pixels_, files_.channels, slot);
  }

  /// Drops the slots of damaged files, and two of three planes where all are grey.
  void close_gaps() {
    const int64_t kept = files_.all_grey ? pixels_ : image_bytes();
    const auto trained = std::ssize(files_.train);
    close_gaps(train_, 0, trained, kept);
    close_gaps(test_, trained, files_.size(), kept);
  }

  std::vector<uint8_t> take_train() { return std::move(train_); }
  std::vector<uint8_t> take_test() { return std::move(test_); }

 private:
  int64_t image_bytes() const { return pixels_ * files_.channels; }

  void close_gaps(std::vector<uint8_t>& slots, int64_t begin, int64_t end, int64_t kept) const {
    auto to = slots.begin();
    for (int64_t i = begin; i < end; ++i) {
      if (files_.damaged().contains(i)) continue;
      const auto from = slots.begin() + (i - begin) * image_bytes();
      if (to != from) std::copy(from, from + kept, to);
      to += kept;
    }
    if (to == slots.end()) return;
    slots.erase(to, slots.end());
    if (files_.all_grey) slots.shrink_to_fit();  // for gaps alone the copy is not worth it
  }

  ImageFiles& files_;
  int64_t pixels_;
  std::vector<uint8_t> train_, test_;
};

}  // namespace

void decode_files(const std::vector<LabelledFile>& train, const std::vector<LabelledFile>& test,
                  const ReadOptions& options, RawDataset& raw) {
  if (train.empty() && test.empty()) return;
  ImageFiles files(train, test, options);
  files.measure();
  Slots slots(files);
  files.each([&](int64_t i, const DecodedImage& image) { slots.put(i, image); });
  slots.close_gaps();
  files.settle_damaged();
  raw.channels = files.all_grey ? 1 : files.channels;
  raw.height = files.height;
  raw.width = files.width;
  raw.fitted = true;
  raw.train.pixels = slots.take_train();
  raw.test.pixels = slots.take_test();
  for (const LabelledFile& f : files.train) raw.train.labels.push_back(f.label);
  for (const LabelledFile& f : files.test) raw.test.labels.push_back(f.label);
  for (const auto& notes : {files.findings.notes(options.upright), files.notes})
    raw.notes.insert(raw.notes.end(), notes.begin(), notes.end());
}

bool has_image_ending(const fs::path& path) {
  static constexpr std::string_view kEndings[] = {".jpg",  ".jpeg", ".jpe", ".jfif", ".png",
                                                  ".webp", ".gif",  ".tif", ".tiff", ".bmp",
                                                  ".dib",  ".ppm",  ".pgm", ".pbm",  ".pnm"};
  const std::string ending = lower(path.extension().string());
  return std::find(std::begin(kEndings), std::end(kEndings), ending) != std::end(kEndings);
}

}  // namespace retort::data
