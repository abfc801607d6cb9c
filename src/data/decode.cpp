// Image files decoded on all processor cores. Slots for RGB are taken up front, so that one copy of
// the set is in memory; a set that proves grey is packed in place. No torch here.
#include "data/decode.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "data/layouts.h"
#include "retort/core/error.h"
#include "retort/core/file.h"
#include "retort/data/image_file.h"

namespace retort::data {

namespace fs = std::filesystem;

namespace {

constexpr uint64_t kFileLimit = uint64_t{256} << 20;

std::string size_text(int64_t width, int64_t height) {
  return std::to_string(width) + " x " + std::to_string(height);
}

class Decoder {
 public:
  Decoder(const std::vector<LabelledFile>& train, const std::vector<LabelledFile>& test,
          const ReadOptions& options)
      : train_(train), test_(test), options_(options) {
    const DecodedImage first = load(0);
    width_ = first.width;
    height_ = first.height;
    pixels_ = width_ * height_;
  }

  void run(RawDataset& raw) {
    train_slots_.resize(train_.size() * pixels_ * 3);
    test_slots_.resize(test_.size() * pixels_ * 3);
    first_error_ = size();
    std::vector<std::thread> workers;
    const unsigned count = std::max(1u, std::thread::hardware_concurrency());
    for (unsigned i = 0; i < count; ++i) workers.emplace_back([this] { work(); });
    for (std::thread& worker : workers) worker.join();
    if (error_) std::rethrow_exception(error_);
    finish(raw);
  }

 private:
  size_t size() const { return train_.size() + test_.size(); }
  const LabelledFile& file(size_t i) const {
    return i < train_.size() ? train_[i] : test_[i - train_.size()];
  }

  DecodedImage load(size_t i) const { return decode_file(file(i), options_); }

  // Indices are taken in order, so every file before a bad one is looked at: the error that remains
  // is the first in order.
  void work() {
    for (size_t i = next_++; i < size() && i < first_error_; i = next_++) {
      try {
        place(i);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (i < first_error_) {
          first_error_ = i;
          error_ = std::current_exception();
        }
      }
    }
  }

  void place(size_t i) {
    const DecodedImage image = load(i);
    if (image.width != width_ || image.height != height_) refuse_size(i, image);
    if (image.channels != 1) all_grey_ = false;
    const DecodedImage rgb = to_channels(image, 3);
    uint8_t* slot = i < train_.size() ? train_slots_.data() + i * pixels_ * 3
                                      : test_slots_.data() + (i - train_.size()) * pixels_ * 3;
    for (int64_t p = 0; p < pixels_; ++p)
      for (int64_t c = 0; c < 3; ++c) slot[c * pixels_ + p] = rgb.pixels[p * 3 + c];
  }

  [[noreturn]] void refuse_size(size_t i, const DecodedImage& image) const {
    throw DataError({"reading the image files",
                     "'" + file(0).path.string() + "' is " + size_text(width_, height_) + " and '" +
                         file(i).path.string() + "' is " + size_text(image.width, image.height),
                     "images of one size", "pass --resolution N to resize and crop all to N x N"});
  }

  void finish(RawDataset& raw) {
    raw.channels = all_grey_ ? 1 : 3;
    raw.height = height_;
    raw.width = width_;
    raw.train.pixels = packed(std::move(train_slots_), train_.size());
    raw.test.pixels = packed(std::move(test_slots_), test_.size());
    for (const LabelledFile& f : train_) raw.train.labels.push_back(f.label);
    for (const LabelledFile& f : test_) raw.test.labels.push_back(f.label);
  }

  std::vector<uint8_t> packed(std::vector<uint8_t> slots, size_t count) const {
    if (!all_grey_) return slots;
    for (size_t i = 0; i < count; ++i)
      std::copy_n(slots.begin() + i * pixels_ * 3, pixels_, slots.begin() + i * pixels_);
    slots.resize(count * pixels_);
    slots.shrink_to_fit();
    return slots;
  }

  const std::vector<LabelledFile>&train_, &test_;
  const ReadOptions& options_;
  int64_t width_ = 0, height_ = 0, pixels_ = 0;
  std::vector<uint8_t> train_slots_, test_slots_;
  std::atomic<size_t> next_{0}, first_error_{0};
  std::atomic<bool> all_grey_{true};
  std::mutex mutex_;
  std::exception_ptr error_;
};

}  // namespace

DecodedImage decode_file(const LabelledFile& file, const ReadOptions& options) {
  DecodedImage image = decode_image(read_file(file.path, kFileLimit), file.path.string());
  return options.resolution > 0 ? resize_and_crop(image, options.resolution) : image;
}

void decode_files(const std::vector<LabelledFile>& train, const std::vector<LabelledFile>& test,
                  const ReadOptions& options, RawDataset& raw) {
  if (train.empty() && test.empty()) return;
  Decoder(train, test, options).run(raw);
}

bool has_image_ending(const fs::path& path) {
  const std::string ending = lower(path.extension().string());
  return ending == ".jpg" || ending == ".jpeg" || ending == ".png";
}

}  // namespace retort::data
