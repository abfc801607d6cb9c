// Published layouts are read; hostile, truncated and unfitting files are refused.
#include <cmath>

#include "io/torch_file.h"
#include "retort/core/error.h"
#include "retort/data/image_file.h"
#include "synthetic/python.h"
#include "synthetic/support.h"

namespace retort::synthetic {
namespace {

using namespace tests;

TEST(Import, ReadsWhatPyTorchWrites) {
  RETORT_NEEDS_ARCHIVES();
  const TempFolder folder;
  RETORT_EXPECT_PYTHON(folder / "write.py", R"(
import os, torch
folder = os.path.dirname(os.path.abspath(__file__)) + '/'
images = torch.arange(4 * 3 * 2 * 2, dtype=torch.float32).view(4, 3, 2, 2)
labels = torch.tensor([1, 0, 1, 0])
torch.save({'data': [[images, labels], [images + 1, labels]],
            'accs_all_exps': {'ConvNet': [0.5, 0.25]}}, folder + 'res_DM.pt')
torch.save(images.requires_grad_(), folder + 'images_best.pt')
torch.save(labels, folder + 'labels_best.pt')
torch.save(torch.tensor(0.03), folder + 'lr_best.pt')
torch.save({'images': torch.nn.Parameter(images[::2].transpose(2, 3)), 'labels': labels[::2].int()},
           folder + 'views.pt')
torch.save((images.half(), torch.tensor([[0.2, 0.8]]).expand(4, 2)), folder + 'soft.pt')
model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
torch.save(model.state_dict(), folder + 'model.pt')
torch.save(images, folder + 'legacy.pt', _use_new_zipfile_serialization=False)
plain = images.detach().numpy()
torch.save({'syn': {'images_train': plain.astype('>f4'), 'labels_train': labels.tolist()}},
           folder + 'numpy.pt')
torch.save({'images': [images[i].detach() for i in range(4)], 'labels': torch.eye(2).long()[labels]},
           folder + 'lists.pt')
)");
  const Bundle first = import_bundle(folder / "res_DM.pt", {});
  EXPECT_TRUE(at::equal(first.labels, at::tensor({0, 0, 1, 1}, at::kLong)));
  EXPECT_EQ(first.images[0][0][0][0].item<float>(), 12);
  EXPECT_EQ(import_bundle(folder / "res_DM.pt", {}, 1).images[0][0][0][0].item<float>(), 13);
  expect_error<DataError>([&] { import_bundle(folder / "res_DM.pt", {}, 2); },
                          {"experiment 2", "holds 2"});

  const Bundle best = import_bundle(folder / "images_best.pt", {});
  EXPECT_TRUE(at::equal(best.images, first.images));
  EXPECT_NEAR(*best.student_learning_rate, 0.03, 1e-8);

  const Bundle views = import_bundle(folder / "views.pt", {});
  EXPECT_EQ(views.images[0][0][0][1].item<float>(), 2);
  EXPECT_EQ(views.images[1][0][0][0].item<float>(), 24);
  EXPECT_EQ(views.class_names, (std::vector<std::string>{"0", "1"}));

  for (const char* name : {"numpy.pt", "lists.pt"}) {
    const Bundle other = import_bundle(folder / name, {});
    EXPECT_TRUE(at::equal(other.images, first.images)) << name;
    EXPECT_TRUE(at::equal(other.labels, first.labels)) << name;
  }

  const Bundle soft = import_bundle(folder / "soft.pt", {});
  EXPECT_EQ(soft.soft_labels.sizes(), (std::vector<int64_t>{4, 2}));
  EXPECT_EQ(soft.counts(), (std::vector<int64_t>{0, 4}));

  const TorchFile model(folder / "model.pt");
  ASSERT_EQ(model.root().callee(), "collections OrderedDict");
  EXPECT_EQ(model.tensor(*model.root().get("0.weight")).sizes(), (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(model.tensor(*model.root().get("1.num_batches_tracked")).item<int64_t>(), 0);
  expect_error<DataError>([&] { import_bundle(folder / "model.pt", {}); }, {"0.weight [3, 2]"});
  const TorchFile old(folder / "legacy.pt");  // of before PyTorch 1.6
  EXPECT_EQ(old.tensor(old.root())[3][2][1][1].item<float>(), 47);
  std::filesystem::remove(folder / "labels_best.pt");
  expect_error<DataError>([&] { import_bundle(folder / "images_best.pt", {}); },
                          {"labels_best.pt"});
}

const std::string kImages = "S'images'\n" + pickled_tensor("FloatStorage", "0", 4, 0,
                                                           "I2\nI2\nI1\nI1\n", "I2\nI1\nI1\nI1\n");

std::string labels_of(const std::string& type, int64_t elements) {
  return "S'labels'\n" + pickled_tensor(type, "1", elements, 0, "I2\n", "I1\n");
}

struct BadTorchFile {
  std::string what, pickle;
  std::vector<std::string> storages;
  std::string text;
};

TEST(Import, RefusesHostileTorchFiles) {
  RETORT_NEEDS_ARCHIVES();
  const TempFolder folder;
  const auto tensor = [](const std::string& type, int64_t elements, int64_t offset,
                         const std::string& shape, const std::string& strides) {
    return "(dS'images'\n" + pickled_tensor(type, "0", elements, offset, shape, strides) + "s.";
  };
  const std::string sixteen(16, '\0'), huge = "I9223372036854775807\n";
  std::string nan_images(16, '\0');
  nan_images[2] = '\x80', nan_images[3] = '\x7f';
  nan_images[2] = static_cast<char>(0xC0);
  const std::string wild = std::string("\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7f", 16);
  const std::string negative = std::string("\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 16);
  const std::vector<BadTorchFile> cases = {
      {"larger than its storage",
       tensor("FloatStorage", 4, 0, "I5\n", "I1\n"),
       {sixteen},
       "lies outside"},
      {"stride outside", tensor("FloatStorage", 4, 0, "I2\n", "I4\n"), {sixteen}, "lies outside"},
      {"offset outside", tensor("FloatStorage", 4, 4, "I1\n", "I1\n"), {sixteen}, "lies outside"},
      {"sizes that overflow",
       tensor("FloatStorage", 4, 0, huge + huge, "I0\nI0\n"),
       {sixteen},
       "lies outside"},
      {"strides that overflow",
       tensor("FloatStorage", 4, 0, "I3\n", huge),
       {sixteen},
       "lies outside"},
      {"endless repetition",
       tensor("FloatStorage", 4, 0, "I99999999999\n", "I0\n"),
       {sixteen},
       "too often"},
      {"negative size",
       tensor("FloatStorage", 4, 0, "I-2\n", "I1\n"),
       {sixteen},
       "numbers from 0 on"},
      {"negative stride",
       tensor("FloatStorage", 4, 0, "I2\n", "I-1\n"),
       {sixteen},
       "numbers from 0 on"},
      {"negative offset",
       tensor("FloatStorage", 4, -1, "I2\n", "I1\n"),
       {sixteen},
       "numbers from 0 on"},
      {"fewer strides",
       tensor("FloatStorage", 4, 0, "I2\nI2\n", "I1\n"),
       {sixteen},
       "numbers from 0 on"},
      {"size of text",
       tensor("FloatStorage", 4, 0, "S'2'\n", "I1\n"),
       {sixteen},
       "numbers from 0 on"},
      {"short storage", tensor("FloatStorage", 4, 0, "I4\n", "I1\n"), {"1234567"}, "7 bytes"},
      {"storage of another size",
       tensor("FloatStorage", 400, 0, "I4\n", "I1\n"),
       {sixteen},
       "16 bytes where 1600 are declared"},
      {"no storage", tensor("FloatStorage", 4, 0, "I4\n", "I1\n"), {}, "'0' is missing"},
      {"unknown type", tensor("ComplexStorage", 2, 0, "I2\n", "I1\n"), {sixteen}, "ComplexStorage"},
      {"no pickle at all", "", {sixteen}, "no data.pkl"},
      {"cut pickle", "(dS'images'\n", {}, "ends early"},
      {"code", "cos\nsystem\n(S'true'\ntR.", {}, "neither a tensor, a list nor a dictionary"},
      {"one tensor",
       pickled_tensor("FloatStorage", "0", 4, 0, "I4\n", "I1\n") + ".",
       {sixteen},
       "images_*.pt"},
      {"no pair", "(lI1\na.", {}, "no pair"},
      {"no images", "(dS'weights'\nI3\ns.", {}, "weights"},
      {"no labels", "(d" + kImages + "s.", {sixteen}, "no labels"},
      {"flat images", tensor("FloatStorage", 4, 0, "I4\n", "I1\n"), {sixteen}, "shape [4]"},
      {"integer images",
       "(dS'images'\n" +
           pickled_tensor("IntStorage", "0", 4, 0, "I4\nI1\nI1\nI1\n", "I1\nI1\nI1\nI1\n") + "s.",
       {sixteen},
       "neither bytes nor floats"},
      {"too many labels",
       "(d" + kImages + "sS'labels'\n" + pickled_tensor("ByteStorage", "1", 3, 0, "I3\n", "I1\n") +
           "s.",
       {sixteen, "\1\1\1"},
       "2 images and 3 labels"},
      {"NaN images",
       "(d" + kImages + "s" + labels_of("ByteStorage", 2) + "s.",
       {nan_images, "\1\1"},
       "not finite"},
      {"wild label",
       "(d" + kImages + "s" + labels_of("LongStorage", 2) + "s.",
       {sixteen, wild},
       "label"},
      {"negative label",
       "(d" + kImages + "s" + labels_of("LongStorage", 2) + "s.",
       {sixteen, negative},
       "label -1"},
  };
  for (const BadTorchFile& bad : cases) {
    SCOPED_TRACE(bad.what);
    write_pt(folder / "bad.pt", bad.pickle, bad.storages);
    expect_error<DataError>([&] { import_bundle(folder / "bad.pt", {}); }, {"bad.pt", bad.text});
  }
}

TEST(Import, RefusesEveryTruncationOfATorchFile) {
  RETORT_NEEDS_ARCHIVES();
  const TempFolder folder;
  export_bundle(small_bundle(), "pt", folder / "a.pt");
  const std::string bytes = read_text(folder / "a.pt");
  for (size_t size = 0; size < bytes.size(); size += 97) {
    write_text(folder / "b.pt", bytes.substr(0, size));
    EXPECT_THROW(import_bundle(folder / "b.pt", {}), DataError) << size;
  }
}

TEST(Import, RefusesLabelsThatTheGivenClassesDoNotHave) {
  RETORT_NEEDS_ARCHIVES();
  const TempFolder folder;
  write_pt(folder / "a.pt", "(d" + kImages + "s" + labels_of("ByteStorage", 2) + "s.",
           {std::string(16, '\0'), "\1\5"});
  ImportOptions options;
  options.class_names = {"cat", "dog"};
  expect_error<DataError>([&] { import_bundle(folder / "a.pt", options); },
                          {"label 5 is out of range", "2 classes"});
  options.preprocessing = data::Preprocessing::mean_std({0.5}, {0.5});
  options.class_names = {};
  expect_error<DataError>([&] { import_bundle(folder / "a.pt", options); }, {"1 channels"});
  options.preprocessing = {};
  EXPECT_EQ(import_bundle(folder / "a.pt", options).classes(), 6);
}

TEST(Import, ReadsBytesInEitherOrderOfChannels) {
  RETORT_NEEDS_ARCHIVES();
  const TempFolder folder;
  std::string pixels;
  for (char i = 0; i < 12; ++i) pixels += i;
  write_pt(folder / "a.pt",
           "(dS'images'\n" +
               pickled_tensor("ByteStorage", "0", 12, 0, "I1\nI2\nI2\nI3\n", "I12\nI6\nI3\nI1\n") +
               "sS'labels'\n" + pickled_tensor("BoolStorage", "1", 1, 0, "I1\n", "I1\n") + "s.",
           {pixels, "\7"});
  const Bundle read = import_bundle(folder / "a.pt", {});
  EXPECT_EQ(read.images.sizes(), (std::vector<int64_t>{1, 3, 2, 2}));
  EXPECT_NEAR(read.images[0][1][0][1].item<float>(), 4 / 255.0, 1e-7);
  EXPECT_EQ(read.labels[0].item<int64_t>(), 1);
}

TEST(Import, RefusesFoldersWithoutClasses) {
  const TempFolder folder;
  expect_error<DataError>([&] { import_bundle(folder.path(), {}); }, {"no class folders"});
  expect_error<DataError>([&] { import_bundle(folder / "none.pt", {}); }, {"none.pt"});
  if (!data::png_available()) GTEST_SKIP() << "this build has no libpng";
  const std::vector<uint8_t> pixels(27, 9);
  write_text(folder / "cat/1.png", data::encode_png(pixels.data(), 2, 2, 3));
  write_text(folder / "cat/2.png", data::encode_png(pixels.data(), 3, 3, 3));
  expect_error<DataError>([&] { import_bundle(folder.path(), {}); }, {"2.png", "3x3", "2x2"});
  ImportOptions options;
  options.class_names = {"dog"};
  expect_error<DataError>([&] { import_bundle(folder.path(), options); }, {"'cat'", "dog"});
  write_text(folder / "cat/2.png", "no image");
  expect_error<DataError>([&] { import_bundle(folder.path(), {}); }, {"2.png"});
}

}  // namespace
}  // namespace retort::synthetic
