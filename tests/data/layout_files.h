// Small files of the layouts, as the reader tests write them. Pixels differ by image and place, so
// that a wrong order shows.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/archive.h"
#include "io/npy.h"
#include "retort/data/image_file.h"
#include "support/support.h"

namespace retort::tests {

/// `count` bytes (seed + 7 i) mod 251.
inline std::string ramp(size_t count, size_t seed = 0) {
  std::string bytes(count, '\0');
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<char>((seed + 7 * i) % 251);
  return bytes;
}

inline std::string cifar10_records(const std::vector<int>& labels) {
  std::string bytes;
  for (size_t i = 0; i < labels.size(); ++i)
    bytes += std::string(1, static_cast<char>(labels[i])) + ramp(3072, i);
  return bytes;
}

/// Fine label of record i is `labels[i]`, coarse label i % 20.
inline std::string cifar100_records(const std::vector<int>& labels) {
  std::string bytes;
  for (size_t i = 0; i < labels.size(); ++i)
    bytes += std::string(1, static_cast<char>(i % 20)) +
             std::string(1, static_cast<char>(labels[i])) + ramp(3072, i);
  return bytes;
}

inline std::vector<int> labels_below(int classes) {
  std::vector<int> labels(classes);
  for (int i = 0; i < classes; ++i) labels[i] = i;
  return labels;
}

inline void write_cifar10(const std::filesystem::path& folder) {
  for (int i = 1; i <= 5; ++i)
    write_text(folder / ("data_batch_" + std::to_string(i) + ".bin"),
               cifar10_records({2 * i - 2, 2 * i - 1}));
  write_text(folder / "test_batch.bin", cifar10_records({9, 0, 5}));
}

inline void write_cifar100(const std::filesystem::path& folder) {
  write_text(folder / "train.bin", cifar100_records(labels_below(100)));
  write_text(folder / "test.bin", cifar100_records({99, 1}));
  std::string fine, coarse;
  for (int i = 0; i < 100; ++i) fine += "fine" + std::to_string(i) + "\n";
  for (int i = 0; i < 20; ++i) coarse += "coarse" + std::to_string(i) + "\n";
  write_text(folder / "fine_label_names.txt", fine);
  write_text(folder / "coarse_label_names.txt", coarse);
}

inline std::string big_endian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

inline std::string idx_images(uint32_t count, uint32_t height, uint32_t width) {
  return big_endian(0x803) + big_endian(count) + big_endian(height) + big_endian(width) +
         ramp(size_t{count} * height * width);
}

inline std::string idx_labels(const std::vector<int>& labels) {
  std::string bytes = big_endian(0x801) + big_endian(static_cast<uint32_t>(labels.size()));
  for (const int label : labels) bytes.push_back(static_cast<char>(label));
  return bytes;
}

inline void write_mnist(const std::filesystem::path& folder, const std::string& separator = "-") {
  write_text(folder / ("train-images" + separator + "idx3-ubyte"), idx_images(10, 4, 3));
  write_text(folder / ("train-labels" + separator + "idx1-ubyte"), idx_labels(labels_below(10)));
  write_text(folder / ("t10k-images" + separator + "idx3-ubyte"), idx_images(2, 4, 3));
  write_text(folder / ("t10k-labels" + separator + "idx1-ubyte"), idx_labels({7, 2}));
}

/// A PNG of one colour ramp.
inline std::string png(int64_t width, int64_t height, int64_t channels, size_t seed = 0) {
  const std::string pixels = ramp(width * height * channels, seed);
  return data::encode_png(reinterpret_cast<const uint8_t*>(pixels.data()), width, height, channels);
}

/// Two training images of each class and one test image, 6 x 5.
inline void write_image_folder(const std::filesystem::path& folder,
                               const std::vector<std::string>& classes, int64_t channels = 3) {
  for (size_t c = 0; c < classes.size(); ++c) {
    write_text(folder / "train" / classes[c] / "b.PNG", png(6, 5, channels, 10 * c + 1));
    write_text(folder / "train" / classes[c] / "a.png", png(6, 5, channels, 10 * c));
    write_text(folder / "val" / classes[c] / "x.png", png(6, 5, channels, 10 * c + 2));
  }
}

inline void write_tiny_imagenet(const std::filesystem::path& folder) {
  write_text(folder / "wnids.txt", "n02124075\nn01443537\n");
  write_text(
      folder / "words.txt",
      "n00001740\tentity\nn01443537\tgoldfish, Carassius auratus\nn02124075\tEgyptian cat\n");
  write_text(folder / "train/n02124075/images/n02124075_0.JPEG", png(4, 4, 3, 1));
  write_text(folder / "train/n01443537/images/n01443537_0.JPEG", png(4, 4, 1, 2));
  write_text(folder / "train/n01443537/n01443537_boxes.txt", "n01443537_0.JPEG\t0\t0\t3\t3\n");
  write_text(folder / "val/images/val_0.JPEG", png(4, 4, 3, 3));
  write_text(folder / "val/val_annotations.txt", "val_0.JPEG\tn01443537\t0\t0\t3\t3\n");
}

inline std::string bytes_npy(const std::vector<int64_t>& shape, size_t seed = 0) {
  size_t count = 1;
  for (const int64_t d : shape) count *= static_cast<size_t>(d);
  return npy_bytes(DType::kU8, shape, ramp(count, seed));
}

template <class T>
std::string numbers_npy(DType type, const std::vector<int64_t>& shape,
                        const std::vector<T>& numbers) {
  return npy_bytes(type, shape,
                   {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T)});
}

inline std::string labels_npy(const std::vector<int64_t>& labels) {
  return npy_bytes(DType::kI64, {static_cast<int64_t>(labels.size())},
                   {reinterpret_cast<const char*>(labels.data()), labels.size() * sizeof(int64_t)});
}

inline void write_npz(const std::filesystem::path& path,
                      std::vector<std::pair<std::string, std::string>> arrays) {
  for (auto& [name, bytes] : arrays) name += ".npy";
  std::filesystem::create_directories(path.parent_path());
  write_stored_zip(path, arrays);
}

/// Whether the build has the optional parts that these layouts need.
inline bool images_and_archives() {
  return data::png_available() && data::jpeg_available() && archives_available();
}

}  // namespace retort::tests

#define RETORT_NEEDS_PARTS()                 \
  if (!retort::tests::images_and_archives()) \
  GTEST_SKIP() << "this build lacks JPEG, PNG or archives"
