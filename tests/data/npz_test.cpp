// General .npz files.
#include "data/npz.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "data/layout_files.h"
#include "retort/core/error.h"
#include "retort/data/raw.h"
#include "support/support.h"

namespace retort::data {
namespace {

using namespace tests;

TEST(NpzReader, ReadsChannelsLastAndFirstAlike) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  // One image [2, 2, 3] counting up; the other file holds the same as planes.
  const std::string last =
      npy_bytes(DType::kU8, {2, 1, 2, 3}, std::string("\0\1\2\3\4\5abcdef", 12));
  const std::string first =
      npy_bytes(DType::kU8, {2, 3, 1, 2}, std::string("\0\3\1\4\2\5adbecf", 12));
  write_npz(folder / "last.npz", {{"x_train", last}, {"y_train", labels_npy({1, 0})}});
  write_npz(folder / "first.npz", {{"images", first}, {"labels", labels_npy({1, 0})}});
  const RawDataset a = read_dataset(folder / "last.npz", {});
  const RawDataset b = read_dataset(folder / "first.npz", {});
  EXPECT_EQ(a.train.pixels, b.train.pixels);
  EXPECT_EQ(a.channels, 3);
  EXPECT_EQ(a.height, 1);
  EXPECT_EQ(b.width, 2);
  EXPECT_EQ(a.train.labels, (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(a.name, "last");
  EXPECT_EQ(a.test.size(), 0);
}

TEST(NpzReader, ReadsGreyImagesAndTestPart) {
  RETORT_NEEDS_PARTS();
  const TempFolder folder;
  write_npz(folder / "set.npz", {{"x_train", bytes_npy({3, 4, 5})},
                                 {"y_train", labels_npy({0, 1, 2})},
                                 {"x_test", bytes_npy({1, 4, 5}, 9)},
                                 {"y_test", npy_bytes(DType::kU8, {1, 1}, "\2")}});
  const RawDataset raw = read_dataset(folder / "set.npz", {});
  EXPECT_EQ(raw.channels, 1);
  EXPECT_EQ(raw.class_names, (std::vector<std::string>{"0", "1", "2"}));
  EXPECT_EQ(raw.test.labels, (std::vector<int64_t>{2}));
  EXPECT_EQ(raw.test.pixels[0], 9);
}

/// Six 2x2 colour images of three classes under other names or types.
RawDataset read_arrays(const std::vector<std::pair<std::string, std::string>>& arrays) {
  const TempFolder folder;
  write_npz(folder / "set.npz", arrays);
  return read_dataset(folder / "set.npz", {});
}
const std::vector<int64_t> kSix = {0, 1, 2, 0, 1, 2};

TEST(NpzReader, TakesTheNamesThatPeopleGive) {
  RETORT_NEEDS_PARTS();
  const std::string images = bytes_npy({6, 2, 2, 3}), labels = labels_npy(kSix);
  const std::pair<const char*, const char*> names[] = {{"X_train", "Y_train"},
                                                       {"trainX", "trainY"},
                                                       {"train_data", "train_labels"},
                                                       {"images_train", "labels_train"},
                                                       {"data", "targets"},
                                                       {"x", "y"},
                                                       {"image", "label"},
                                                       {"arr_0", "arr_1"},
                                                       {"training_images", "training-labels"}};
  for (const auto& [x, y] : names) {
    SCOPED_TRACE(x);
    const RawDataset raw = read_arrays({{x, images}, {y, labels}});
    EXPECT_EQ(raw.train.labels, kSix);
    EXPECT_EQ(raw.train.pixels[1], 21) << "the second pixel of the first plane";
  }
}

TEST(NpzReader, TellsArraysWithoutNamesByTheirShapes) {
  RETORT_NEEDS_PARTS();
  const std::string train = bytes_npy({6, 2, 2}), test = bytes_npy({2, 2, 2}, 9);
  const std::string y = labels_npy(kSix), y_test = labels_npy({2, 0});
  const RawDataset keras =
      read_arrays({{"arr_0", train}, {"arr_1", y}, {"arr_2", test}, {"arr_3", y_test}});
  const RawDataset sklearn =
      read_arrays({{"arr_0", train}, {"arr_1", test}, {"arr_2", y}, {"arr_3", y_test}});
  for (const RawDataset* raw : {&keras, &sklearn}) {
    EXPECT_EQ(raw->train.labels, kSix);
    EXPECT_EQ(raw->test.labels, (std::vector<int64_t>{2, 0}));
    EXPECT_EQ(raw->test.pixels[0], 9);
  }
}

TEST(NpzReader, ReadsLabelsOfEveryKind) {
  RETORT_NEEDS_PARTS();
  const std::string images = bytes_npy({6, 2, 2});
  const auto labels = [&](const std::string& array) {
    return read_arrays({{"images", images}, {"labels", array}}).train.labels;
  };
  const std::string hot("\1\0\0\0\1\0\0\0\1\1\0\0\0\1\0\0\0\1", 18);
  EXPECT_EQ(labels(npy_bytes(DType::kU8, {6, 3}, hot)), kSix);
  EXPECT_EQ(labels(numbers_npy<double>(DType::kF64, {6}, {0, 1, 2, 0, 1, 2})), kSix);
  EXPECT_EQ(labels(numbers_npy<float>(DType::kF32, {6, 1}, {0, 1, 2, 0, 1, 2})), kSix);
  EXPECT_EQ(labels(npy_bytes(DType::kBool, {6}, std::string("\0\1\1\0\0\1", 6))),
            (std::vector<int64_t>{0, 1, 1, 0, 0, 1}));
  std::string big = labels_npy(kSix);
  big.replace(big.find("<i8"), 3, ">i8");
  for (size_t at = big.size() - 48; at < big.size(); at += 8)
    std::reverse(big.begin() + at, big.begin() + at + 8);
  EXPECT_EQ(labels(big), kSix);
}

TEST(NpzReader, TextsBecomeClassNames) {
  RETORT_NEEDS_PARTS();
  const RawDataset raw = read_arrays({{"images", bytes_npy({4, 2, 2})},
                                      {"labels", npy_strings({"dog", "cat", "dog", "owl"})},
                                      {"test_images", bytes_npy({1, 2, 2})},
                                      {"test_labels", npy_strings({"owl"})}});
  EXPECT_EQ(raw.class_names, (std::vector<std::string>{"cat", "dog", "owl"}));
  EXPECT_EQ(raw.train.labels, (std::vector<int64_t>{1, 0, 1, 2}));
  EXPECT_EQ(raw.test.labels, (std::vector<int64_t>{2}));
  EXPECT_EQ(read_arrays({{"images", bytes_npy({2, 2, 2})},
                         {"labels", labels_npy({1, 0})},
                         {"class_names", npy_strings({"cat", "dog"})}})
                .class_names,
            (std::vector<std::string>{"cat", "dog"}));
}

TEST(NpzReader, TurnsFloatImagesIntoBytes) {
  RETORT_NEEDS_PARTS();
  const std::string labels = labels_npy({0, 1});
  const RawDataset unit =
      read_arrays({{"images", numbers_npy<float>(DType::kF32, {2, 1, 2}, {0.0f, 1.0f, 0.5f, 0.2f})},
                   {"labels", labels}});
  EXPECT_EQ(unit.train.pixels, (std::vector<uint8_t>{0, 255, 128, 51}));
  ASSERT_EQ(unit.notes.size(), 1u);
  EXPECT_NE(unit.notes[0].find("multiplied by 255"), std::string::npos);
  const RawDataset whole =
      read_arrays({{"images", numbers_npy<double>(DType::kF64, {2, 1, 2}, {0, 255, 17, 3})},
                   {"labels", labels}});
  EXPECT_EQ(whole.train.pixels, (std::vector<uint8_t>{0, 255, 17, 3}));
  // Half floats: 1 is 0x3C00, 0.5 is 0x3800.
  const RawDataset half =
      read_arrays({{"images", npy_bytes(DType::kF16, {2, 1, 1}, std::string("\0\x3c\0\x38", 4))},
                   {"labels", labels}});
  EXPECT_EQ(half.train.pixels, (std::vector<uint8_t>{255, 128}));
}

TEST(NpzReader, SaysWhenTheImagesAreNearlyBlack) {
  RETORT_NEEDS_PARTS();
  const RawDataset raw = read_arrays(
      {{"images", npy_bytes(DType::kU8, {2, 1, 2}, "\1\x10\2\3")}, {"labels", labels_npy({0, 1})}});
  ASSERT_EQ(raw.notes.size(), 1u);
  EXPECT_NE(raw.notes[0].find("the largest pixel value is 16 of 255"), std::string::npos);
}

TEST(NpzReader, UsesOrNamesAValidationPart) {
  RETORT_NEEDS_PARTS();
  const std::string images = bytes_npy({6, 2, 2}), labels = labels_npy(kSix);
  const RawDataset spare = read_arrays({{"train_images", images},
                                        {"train_labels", labels},
                                        {"val_images", images},
                                        {"val_labels", labels},
                                        {"test_images", bytes_npy({1, 2, 2}, 5)},
                                        {"test_labels", labels_npy({2})}});
  EXPECT_EQ(spare.test.size(), 1);
  ASSERT_EQ(spare.notes.size(), 1u);
  EXPECT_NE(spare.notes[0].find("'val_images' is not used"), std::string::npos);
  const RawDataset taken =
      read_arrays({{"x_train", images}, {"y_train", labels}, {"x_val", images}, {"y_val", labels}});
  EXPECT_EQ(taken.test.size(), 6);
  ASSERT_EQ(taken.notes.size(), 1u);
  EXPECT_NE(taken.notes[0].find("'x_val' taken as the test part"), std::string::npos);
}

TEST(NpzReader, RefusesWhatIsNoSetOfImagesWithTheWayOut) {
  RETORT_NEEDS_PARTS();
  const std::string six = bytes_npy({6, 2, 2}), labels = labels_npy(kSix);
  const auto refused = [](const std::string& images, const std::string& y,
                          std::vector<std::string> message) {
    try {
      read_arrays({{"images", images}, {"labels", y}});
      ADD_FAILURE() << "not refused: " << message[0];
    } catch (const DataError& error) {
      const std::string text = error.what();
      for (const std::string& part : message)
        EXPECT_NE(text.find(part), std::string::npos) << part << " is not in: " << text;
      EXPECT_EQ(text.find("damaged"), std::string::npos) << text;
    }
  };
  refused(bytes_npy({6, 8, 8, 4}), labels, {"[6, 8, 8, 4]", "alpha", "images[..., :3]"});
  refused(bytes_npy({6, 13, 8, 8}), labels, {"13 channels", "images[:, [2, 1, 0]]"});
  refused(bytes_npy({6, 9, 9, 9}), labels, {"volumes"});
  refused(bytes_npy({6, 12}), labels, {"rows of numbers", "reshape(-1, 3, 2, 2)"});
  refused(numbers_npy<float>(DType::kF32, {6, 1, 1}, {-1, 1, 0, 0, .5, 0}), labels,
          {"-1 to 1", "(x + 1) * 127.5"});
  refused(numbers_npy<int32_t>(DType::kI32, {6, 1, 1}, {0, 4095, 0, 0, 5, 0}), labels,
          {"0 to 4095", "255 / x.max()"});
  refused(six, bytes_npy({6, 14}), {"labels", "[6, 14]", "argmax"});
  refused(six, npy_bytes(DType::kU8, {6, 2}, std::string(12, '\1')),
          {"names 2 classes", "choose one class"});
  refused(six, numbers_npy<float>(DType::kF32, {6}, {0, 1, .5, 0, 0, 0}),
          {"0.5", "record 2", "return_inverse"});
  refused(six, labels_npy({0, 1}), {"2 labels for 6 images", "one order"});
  std::string objects = labels;
  objects.replace(objects.find("<i8"), 3, "|O8");
  refused(six, objects, {"Python objects", "astype(str)"});
}

TEST(NpzReader, ReadsTextsOfEitherByteOrderInAColumn) {
  RETORT_NEEDS_PARTS();
  std::string texts = npy_strings({"b", "a"});
  texts.replace(texts.find("<U1"), 3, ">U1");
  texts.replace(texts.find("(2,)"), 4, "(2,1");  // the padding after it takes the bracket
  texts.replace(texts.find("(2,1,"), 5, "(2,1)");
  for (size_t at = texts.size() - 8; at < texts.size(); at += 4)
    std::reverse(texts.begin() + static_cast<std::ptrdiff_t>(at),
                 texts.begin() + static_cast<std::ptrdiff_t>(at + 4));
  EXPECT_EQ(read_arrays({{"images", bytes_npy({2, 2, 2})}, {"labels", texts}}).train.labels,
            (std::vector<int64_t>{1, 0}));
}

TEST(NpyReader, ReadsFilesBesideEachOther) {
  const TempFolder folder;
  write_text(folder / "set/x.npy", bytes_npy({6, 2, 2}));
  write_text(folder / "set/y.npy", labels_npy(kSix));
  for (const char* path : {"set", "set/x.npy"}) {
    const RawDataset raw = read_dataset(folder / path, {});
    EXPECT_EQ(raw.train.labels, kSix);
    EXPECT_EQ(raw.name, "set");
    EXPECT_EQ(raw.reader, "npy");
  }
  write_text(folder / "c/fog.npy", bytes_npy({6, 2, 2}, 3));
  write_text(folder / "c/labels.npy", labels_npy(kSix));
  EXPECT_EQ(read_dataset(folder / "c/fog.npy", {}).train.pixels[0], 3);
}

}  // namespace
}  // namespace retort::data
