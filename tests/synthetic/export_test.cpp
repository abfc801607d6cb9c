// Exports come back through the importers; PyTorch and NumPy read them.
#include <cmath>

#include "io/torch_file.h"
#include "retort/core/error.h"
#include "retort/data/image_file.h"
#include "synthetic/python.h"
#include "synthetic/support.h"

namespace retort::synthetic {
namespace {

using namespace tests;

void expect_same_set(const Bundle& read, const Bundle& bundle) {
  EXPECT_TRUE(at::equal(read.images, bundle.images));
  EXPECT_TRUE(at::equal(read.labels, bundle.labels));
  EXPECT_EQ(read.class_names, bundle.class_names);
  EXPECT_EQ(read.preprocessing.kind(), bundle.preprocessing.kind());
  EXPECT_EQ(read.preprocessing.mean(), bundle.preprocessing.mean());
  EXPECT_EQ(read.preprocessing.deviation(), bundle.preprocessing.deviation());
  EXPECT_EQ(read.method, "imported");
  EXPECT_EQ(read.storage_bytes, read.stored_bytes());
}

TEST(Export, TorchFileComesBack) {
  RETORT_NEEDS_ARCHIVES();
  const TempFolder folder;
  for (Bundle bundle : {small_bundle(), whitened_bundle()}) {
    bundle.soft_labels = at::softmax(at::rand({5, 3}), 1);
    bundle.student_learning_rate = 0.02;
    export_bundle(bundle, "pt", folder / "a.pt");
    const Bundle read = import_bundle(folder / "a.pt", {});
    expect_same_set(read, bundle);
    EXPECT_TRUE(at::equal(read.soft_labels, bundle.soft_labels));
    EXPECT_EQ(*read.student_learning_rate, 0.02);
    EXPECT_EQ(read.network, "convnet");
    EXPECT_EQ(read.data_name, "toy");
  }
}

TEST(Export, NpzComesBack) {
  RETORT_NEEDS_ARCHIVES();
  const TempFolder folder;
  for (const Bundle& bundle : {small_bundle(), whitened_bundle()}) {
    export_bundle(bundle, "npz", folder / "a.npz");
    expect_same_set(import_bundle(folder / "a.npz", {}), bundle);
  }
}

TEST(Export, GivesTheSameBytes) {
  const TempFolder folder;
  for (const std::string format : {"npz", "pt"}) {
    export_bundle(small_bundle(), format, folder / "a");
    export_bundle(small_bundle(), format, folder / "b");
    EXPECT_EQ(read_text(folder / "a"), read_text(folder / "b"));
  }
}

TEST(Export, PngFolderComesBackToTheByte) {
  if (!data::png_available()) GTEST_SKIP() << "this build has no libpng";
  const TempFolder folder;
  const Bundle bundle = small_bundle();
  export_bundle(bundle, "png", folder / "out");
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "out" / "a_dog" / "00000.png"));
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "out" / "bird" / "00001.png"));
  ImportOptions options;
  options.preprocessing = bundle.preprocessing;
  const Bundle read = import_bundle(folder / "out", options);
  expect_same_set(read, bundle);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1)
      << "nothing else is left";
}

TEST(Export, PngRefusesFoldersThatHoldSomething) {
  if (!data::png_available()) GTEST_SKIP() << "this build has no libpng";
  const TempFolder folder;
  write_text(folder / "out/kept.txt", "kept");
  expect_error<StateError>([&] { export_bundle(small_bundle(), "png", folder / "out"); },
                           {"not empty", "another folder"});
  write_text(folder / "file", "kept");
  expect_error<ResourceError>([&] { export_bundle(small_bundle(), "png", folder / "file/out"); },
                              {"file"});
  std::filesystem::create_directories(folder / "empty");
  export_bundle(small_bundle(), "png", folder / "empty");
  Bundle deep = small_bundle();
  deep.images = at::zeros({5, 2, 4, 4});
  deep.preprocessing = {};
  expect_error<DataError>([&] { export_bundle(deep, "png", folder / "deep"); }, {"2 channels"});
}

TEST(Export, RefusesUnknownFormatsAndUnwritablePlaces) {
  const TempFolder folder;
  expect_error<ConfigError>([&] { export_bundle(small_bundle(), "ptt", folder / "a"); },
                            {"'ptt'", "png, npz, pt", "'pt'"});
  write_text(folder / "file", "kept");
  for (const std::string format : {"npz", "pt"})
    expect_error<ResourceError>([&] { export_bundle(small_bundle(), format, folder / "file/a"); },
                                {"file"});
}

TEST(Export, PyTorchLoadsItWithWeightsOnly) {
  const TempFolder folder;
  Bundle bundle = small_bundle();
  bundle.soft_labels = at::arange(15, at::kFloat).view({5, 3});
  bundle.soft_label_kind = "targets";
  bundle.student_learning_rate = 0.5;
  export_bundle(bundle, "pt", folder / "a.pt");
  export_bundle(whitened_bundle(), "pt", folder / "zca.pt");
  RETORT_EXPECT_PYTHON(folder / "check.py", R"(
import os, torch
folder = os.path.dirname(os.path.abspath(__file__))
content = torch.load(folder + '/a.pt', weights_only=True)
assert content['images'].shape == (5, 3, 4, 4) and content['images'].dtype == torch.float32
assert content['labels'].tolist() == [0, 0, 1, 2, 2] and content['labels'].dtype == torch.int64
assert content['class_names'] == ['cat', 'a/dog', 'bird']
assert content['soft_labels'].tolist()[4] == [12.0, 13.0, 14.0]
assert content['mean'].dtype == torch.float32 and content['mean'].shape == (3, 1, 1)
assert content['mean'].flatten().tolist() == [0.5, 0.25, 0.5]
assert abs(content['std'].flatten() - torch.tensor([0.25, 0.5, 0.1])).max() < 1e-7
assert content['soft_label_kind'] == 'targets'
assert content['student_learning_rate'].item() == 0.5
assert content['preprocessing'] == 'mean_std' and content['augmentation'] == 'color_crop'
pixels = content['images'] * content['std'] + content['mean']
assert torch.allclose((pixels - content['mean']) / content['std'], content['images'], atol=1e-6)
assert abs(pixels[0, 0, 0, 1].item() * 255 - 37) < 1e-3
zca = torch.load(folder + '/zca.pt', weights_only=True)
assert zca['zca_matrix'][3, 3] == 2 and zca['zca_inverse'].shape == (48, 48)
)");
}

TEST(Export, NumpyLoadsNpz) {
  const TempFolder folder;
  export_bundle(small_bundle(), "npz", folder / "a.npz");
  RETORT_EXPECT_PYTHON(folder / "check.py", R"(
import os, numpy
content = numpy.load(os.path.dirname(os.path.abspath(__file__)) + '/a.npz')
assert content['images'].dtype == numpy.uint8 and content['images'][0, 0, 0, 1] == 37
assert content['images_float'].shape == (5, 3, 4, 4)
assert list(content['class_names']) == ['cat', 'a/dog', 'bird']
assert list(content['labels']) == [0, 0, 1, 2, 2]
assert content['mean'].shape == (3, 1, 1) and content['mean'].ravel().tolist() == [0.5, 0.25, 0.5]
)");
}

}  // namespace
}  // namespace retort::synthetic
