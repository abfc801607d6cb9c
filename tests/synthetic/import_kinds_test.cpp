// Published sets seldom say what their numbers are: labels, pixels, order of axes, classes by
// number. Nothing of another kind is stored without a word.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "io/npy.h"
#include "retort/core/error.h"
#include "retort/core/random.h"
#include "retort/data/image_file.h"
#include "synthetic/support.h"

namespace retort::synthetic {
namespace {

using namespace tests;
using Notes = std::vector<std::string>;

/// Smooth pictures of 3x16x16: blocks of 4x4 pixels of one colour. Five of each of ten classes.
data::Dataset smooth_data() {
  data::RawDataset raw;
  raw.name = "smooth";
  raw.channels = 3;
  raw.height = raw.width = 16;
  RandomStream draw(1, "test.import");
  for (int c = 0; c < 10; ++c) raw.class_names.push_back("c" + std::to_string(c));
  for (auto* part : {&raw.train, &raw.test})
    for (int i = 0; i < 50; ++i) {
      std::vector<uint8_t> blocks(3 * 16);
      for (uint8_t& block : blocks) block = static_cast<uint8_t>(draw.uniform_int(256));
      for (int k = 0; k < 3; ++k)
        for (int p = 0; p < 256; ++p)
          part->pixels.push_back(blocks[16 * k + 4 * (p / 64) + (p % 16) / 4]);
      part->labels.push_back(i % 10);
    }
  data::DataOptions options;
  options.normalisation = "computed";
  return data::prepare_dataset(std::move(raw), options);
}

class Kinds : public ::testing::Test {
 protected:
  void SetUp() override { RETORT_NEEDS_ARCHIVES(); }

  /// Writes an .npz of these members.
  void write(const std::vector<std::pair<std::string, at::Tensor>>& members) const {
    std::vector<std::pair<std::string, std::string>> files;
    for (const auto& [name, given] : members) {
      const at::Tensor tensor = given.contiguous();
      const DType type = tensor.scalar_type() == at::kFloat  ? DType::kF32
                         : tensor.scalar_type() == at::kByte ? DType::kU8
                                                             : DType::kI64;
      files.emplace_back(name + ".npy",
                         npy_bytes(type, tensor.sizes().vec(),
                                   {static_cast<const char*>(tensor.data_ptr()), tensor.nbytes()}));
    }
    write_stored_zip(folder / "a.npz", files);
  }
  Bundle read(Notes& notes, const std::string& labels = "auto",
              const std::string& pixels = "auto") const {
    ImportOptions options{data.class_names, data.preprocessing, data.name, labels, pixels, &data};
    return import_bundle(folder / "a.npz", options, 0, &notes);
  }
  void expect_note(const Notes& notes, const std::string& part) const {
    EXPECT_TRUE(std::any_of(notes.begin(), notes.end(), [&](const std::string& note) {
      return note.find(part) != std::string::npos;
    })) << part;
  }
  /// Ten images of the data, as the network gets them.
  at::Tensor input() const {
    return data.preprocessing.apply(data.test.images.slice(0, 0, 10), at::kCPU);
  }
  at::Tensor unit() const { return data.test.images.slice(0, 0, 10).to(at::kFloat) / 255; }

  const TempFolder folder;
  const data::Dataset data = smooth_data();
  const at::Tensor classes = at::arange(10);
};

TEST_F(Kinds, LabelsThatAreNoProbabilitiesAreRefusedUnlessSaid) {
  const at::Tensor logits = at::eye(10) * 8 - 1;
  write({{"images", input()}, {"labels", logits}});
  Notes notes;
  expect_error<DataError>([&] { read(notes); },
                          {"not probabilities", "rows hold -1 to 7", "sum to -2", "--labels logits",
                           "--labels targets"});
  const Bundle soft = read(notes, "logits");
  EXPECT_LT((soft.soft_labels - at::softmax(logits, 1)).abs().max().item<float>(), 1e-6);
  expect_note(notes, "softmax");
  EXPECT_EQ(read(notes, "targets").soft_label_kind, "targets");
  expect_error<DataError>([&] { read(notes, "probabilities"); }, {"not probabilities"});
  write({{"images", input()}, {"labels", at::softmax(logits, 1)}});
  Notes none;
  EXPECT_TRUE(at::equal(read(none).soft_labels, at::softmax(logits, 1)));
  EXPECT_TRUE(none.empty());
}

/// DATM and DD-Ranking: labels_best.pt beside images_best.pt holds logits.
TEST_F(Kinds, LogitsBesideImagesGoThroughASoftmax) {
  const at::Tensor images = input(), logits = at::eye(10) * 8 - 1;
  const auto bytes = [](const at::Tensor& tensor) {
    return std::string(static_cast<const char*>(tensor.data_ptr()), tensor.nbytes());
  };
  write_pt(folder / "images_best.pt",
           pickled_tensor("FloatStorage", "0", images.numel(), 0, "I10\nI3\nI16\nI16\n",
                          "I768\nI256\nI16\nI1\n") +
               ".",
           {bytes(images)});
  write_pt(folder / "labels_best.pt",
           pickled_tensor("FloatStorage", "0", 100, 0, "I10\nI10\n", "I10\nI1\n") + ".",
           {bytes(logits.contiguous())});
  Notes notes;
  const Bundle read = import_bundle(
      folder / "images_best.pt",
      {data.class_names, data.preprocessing, data.name, "auto", "auto", &data}, 0, &notes);
  EXPECT_LT((read.soft_labels - at::softmax(logits, 1)).abs().max().item<float>(), 1e-6);
  EXPECT_TRUE(at::equal(read.labels, classes));
  expect_note(notes, "DATM");
}

TEST_F(Kinds, OneHotLabelsAreClassesInAnyType) {
  for (const at::ScalarType type : {at::kLong, at::kFloat, at::kByte}) {
    write({{"images", input()}, {"labels", at::eye(10).to(type)}});
    Notes notes;
    const Bundle bundle = read(notes);
    EXPECT_TRUE(at::equal(bundle.labels, classes));
    EXPECT_FALSE(bundle.soft_labels.defined());
    expect_note(notes, "one-hot");
  }
  write({{"images", input()}, {"labels", at::ones({10, 10}, at::kLong)}});
  Notes notes;
  expect_error<DataError>([&] { read(notes); }, {"[10, 10]", "not one 1 in each row"});
}

TEST_F(Kinds, BundlesWithoutDistributionsAreRefused) {
  Bundle bundle = small_bundle();
  bundle.soft_labels = at::tensor({-9.59f, 15.f, 1.f}).expand({5, 3}).contiguous();
  expect_error<StateError>([&] { save_bundle(folder / "a.safetensors", bundle); },
                           {"not probabilities", "-9.59"});
  bundle.soft_label_kind = "targets";
  save_bundle(folder / "a.safetensors", bundle);
  EXPECT_EQ(load_bundle(folder / "a.safetensors").soft_label_kind, "targets");
  // As a version that did not look wrote it.
  TensorFile file = load_tensors(folder / "a.safetensors");
  file.metadata.erase("soft_label_kind");
  save_tensors(folder / "b.safetensors", file.tensors, file.metadata);
  expect_error<DataError>([&] { load_bundle(folder / "b.safetensors"); },
                          {"not probabilities", "sum to 6.41"});
  file.metadata["method"] = "frepo";
  save_tensors(folder / "b.safetensors", file.tensors, file.metadata);
  EXPECT_EQ(load_bundle(folder / "b.safetensors").soft_label_kind, "targets");
}

TEST_F(Kinds, PixelsFromZeroToOneOr255AreNormalised) {
  for (const double scale : {1.0, 255.0}) {
    write({{"images", unit() * scale}, {"labels", classes}});
    Notes notes;
    EXPECT_LT((read(notes).images - input()).abs().max().item<float>(), 1e-5) << scale;
    expect_note(notes, scale > 1 ? "0 to 255" : "0 to 1");
    EXPECT_TRUE(at::equal(read(notes, "auto", "network").images, (unit() * scale).to(at::kFloat)));
    EXPECT_LT((read(notes, "auto", scale > 1 ? "bytes" : "unit").images - input())
                  .abs()
                  .max()
                  .item<float>(),
              1e-5);
  }
  write({{"images", unit() * 2 - 1}, {"labels", classes}});
  Notes notes;
  read(notes);
  expect_note(notes, "--pixels symmetric");
  EXPECT_LT((read(notes, "auto", "symmetric").images - input()).abs().max().item<float>(), 1e-5);
}

TEST_F(Kinds, NetworkInputIsTakenWithoutAWord) {
  write({{"images", input()}, {"labels", classes}});
  Notes notes;
  EXPECT_TRUE(at::equal(read(notes).images, input()));
  EXPECT_TRUE(notes.empty()) << notes[0];
}

TEST_F(Kinds, WhitenedImagesAndOtherScalesAreNamed) {
  at::Tensor white = at::empty({10, 3, 16, 16});
  RandomStream(3, "test.white").fill_normal(white.data_ptr<float>(), white.numel());
  write({{"images", white}, {"labels", classes}});
  Notes notes;
  read(notes);
  expect_note(notes, "--normalisation zca");
  write({{"images", input() * 10}, {"labels", classes}});
  Notes wide;
  read(wide);
  expect_note(wide, "--pixels");
}

TEST_F(Kinds, OtherShapesAreRefusedOrTurned) {
  write({{"images", input().permute({0, 2, 3, 1})}, {"labels", classes}});
  Notes notes;
  EXPECT_TRUE(at::equal(read(notes).images, input()));
  expect_note(notes, "[M, H, W, C]");
  write({{"images", at::zeros({10, 3, 32, 32})}, {"labels", classes}});
  expect_error<DataError>([&] { read(notes); }, {"3x32x32", "3x16x16", "--resolution 32"});
  write({{"images", at::zeros({10, 1, 16, 16})}, {"labels", classes}});
  expect_error<DataError>([&] { read(notes); }, {"1x16x16", "3x16x16"});
}

TEST_F(Kinds, ClassesWithoutImagesAndOtherNamesAreNamed) {
  write({{"images", input().slice(0, 0, 2)}, {"labels", at::arange(2)}});
  Notes notes;
  read(notes);
  expect_note(notes, "8 of 10 classes");
  Bundle bundle = small_bundle();
  bundle.images = input().slice(0, 0, 5);
  export_bundle(bundle, "npz", folder / "a.npz");
  expect_error<DataError>([&] { read(notes); },
                          {"class 0 is 'cat'", "class 0 is 'c0'", "--classes"});
  bundle.class_names = data.class_names;
  bundle.class_names[1] = "other";
  export_bundle(bundle, "npz", folder / "a.npz");
  expect_error<DataError>([&] { read(notes); }, {"class 1 is 'other'", "class 1 is 'c1'"});
}

/// RDED writes 00000, 00001 ..., SRe2L new000, new001 ...
TEST_F(Kinds, WholeNumbersAndRowsAreRefusedWithAWayOut) {
  const auto expect_refused = [&](const at::Tensor& images, const std::vector<std::string>& parts) {
    write({{"images", images}, {"labels", classes}});
    Notes notes;
    expect_error<DataError>([&] { read(notes); }, parts);
  };
  const at::Tensor bytes = data.test.images.slice(0, 0, 10).clone();
  bytes[0][0][0][0] = 0;
  bytes[0][0][0][1] = 255;
  const at::Tensor whole = bytes.to(at::kLong);
  expect_refused(whole, {"a.npz", "whole numbers from 0 to 255", "bytes (uint8) from 0 to 255",
                         "images.astype('uint8')"});
  expect_refused(whole.gt(100).to(at::kLong), {"from 0 to 1", "(images * 255).astype('uint8')"});
  expect_refused(whole * 257, {"from 0 to 65535", "(images / white)", "--pixels unit"});
  expect_refused(whole - 128, {"from -128 to 127", "not below 0"});
  expect_refused(bytes.flatten(1),
                 {"rows of 768 numbers", "reshape(-1, 3, 16, 16)", "reshape(-1, 16, 16, 3)"});
  expect_refused(input().flatten(1).slice(1, 0, 100), {"rows of 100 numbers", "(-1, H, W, C)"});
}

// A folder of every kind of image that the readers know, and what lies beside images.
TEST_F(Kinds, FoldersHoldImagesOfAnyKind) {
  std::vector<std::string> names = {"rgb.bmp", "bytes.ppm"};
  if (data::png_available()) names.emplace_back("rgb.png");
  if (data::jpeg_available()) names.emplace_back("rgb.jpg");
  if (data::webp_available()) names.emplace_back("rgb.webp");
  if (data::gif_available()) names.emplace_back("p.gif");
  if (data::tiff_available()) names.emplace_back("rgb.tif");
  std::sort(names.begin(), names.end(), [](const auto& one, const auto& other) {
    return one.substr(one.find('.')) < other.substr(other.find('.'));
  });
  const std::filesystem::path images =
      std::filesystem::path(__FILE__).parent_path().parent_path() / "fuzz/corpus/image";
  std::vector<data::DecodedImage> wanted;
  for (const std::string& name : names) {
    const std::string bytes = read_text(images / name), ending = name.substr(name.find('.'));
    wanted.push_back(data::decode_image(bytes, name));
    write_text(folder / "set" / ending.substr(1) / ("A" + ending), bytes);
  }
  write_text(folder / "set" / "bmp" / "Thumbs.db", "left");
  write_text(folder / "set" / "@eaDir" / "a.png", "left");
  const Bundle bundle = import_bundle(folder / "set", {});
  ASSERT_EQ(bundle.classes(), static_cast<int64_t>(names.size()));
  ASSERT_EQ(bundle.images.size(0), bundle.classes());
  for (size_t i = 0; i < names.size(); ++i) {
    const at::Tensor pixels = (bundle.images[static_cast<int64_t>(i)] * 255).round();
    for (int64_t c = 0; c < 3; ++c)
      EXPECT_EQ(pixels[c][0][0].item<float>(), wanted[i].pixels[c]) << names[i];
  }
}

TEST_F(Kinds, FullSetsOfNumberedFoldersAreClassesByNumber) {
  if (!data::png_available()) GTEST_SKIP() << "this build has no libpng";
  ImportOptions options;
  options.class_names = {"airplane", "bird", "cat"};
  for (const std::string prefix : {"0000", "new00"}) {
    const std::filesystem::path root = folder / prefix;
    for (const char number : {'2', '0', '1'}) {
      const std::vector<uint8_t> pixels(3 * 4, static_cast<uint8_t>(number));
      write_text(root / (prefix + number) / "a.png", data::encode_png(pixels.data(), 2, 2, 3));
    }
    Notes notes;
    const Bundle bundle = import_bundle(root, options, 0, &notes);
    EXPECT_EQ(bundle.class_names, options.class_names);
    for (int c = 0; c < 3; ++c)
      EXPECT_NEAR(bundle.images[c][0][0][0].item<float>() * 255, '0' + c, 1e-3);
    expect_note(notes, "by number");
    std::filesystem::remove_all(root / (prefix + "2"));
    expect_error<DataError>([&] { import_bundle(root, options); },
                            {"not one of the classes", "full set of numbered"});
  }
}

}  // namespace
}  // namespace retort::synthetic
