// The bundle file: it comes back as it was, the same bytes every time, and bad ones are refused.
#include "retort/synthetic/bundle.h"

#include <cmath>
#include <functional>

#include "retort/core/error.h"
#include "synthetic/support.h"

namespace retort::synthetic {
namespace {

using namespace tests;

TEST(Bundle, ComesBackAsItWas) {
  const TempFolder folder;
  Bundle bundle = small_bundle();
  bundle.soft_labels = at::softmax(at::rand({5, 3}), 1);
  bundle.student_learning_rate = 0.0123456789;
  bundle.compact["bases"] = at::rand({4, 2});
  save_bundle(folder / "a.safetensors", bundle);
  const Bundle read = load_bundle(folder / "a.safetensors");
  EXPECT_TRUE(at::equal(read.images, bundle.images));
  EXPECT_TRUE(at::equal(read.labels, bundle.labels));
  EXPECT_TRUE(at::equal(read.soft_labels, bundle.soft_labels));
  EXPECT_TRUE(at::equal(read.compact.at("bases"), bundle.compact["bases"]));
  EXPECT_EQ(read.compact.size(), 1u);
  EXPECT_EQ(*read.student_learning_rate, 0.0123456789);
  EXPECT_EQ(read.class_names, bundle.class_names);
  EXPECT_EQ(read.preprocessing.kind(), "mean_std");
  EXPECT_EQ(read.preprocessing.mean(), bundle.preprocessing.mean());
  EXPECT_EQ(read.preprocessing.deviation(), bundle.preprocessing.deviation());
  EXPECT_EQ(read.recipe, bundle.recipe);
  EXPECT_EQ(read.augmentation, bundle.augmentation);
  EXPECT_EQ(read.protocol, bundle.protocol);
  EXPECT_EQ(read.data_hash, bundle.data_hash);
  EXPECT_EQ(read.storage_bytes, bundle.storage_bytes);
  EXPECT_EQ(read.seed, 7);
  EXPECT_EQ(read.counts(), (std::vector<int64_t>{2, 1, 2}));
}

TEST(Bundle, SaysWhetherItsImagesWereChosen) {
  const TempFolder folder;
  const auto read_as = [&](const char* method, bool chosen) {
    Bundle bundle = small_bundle();
    bundle.method = method;
    bundle.chosen = chosen;
    save_bundle(folder / "a.safetensors", bundle);
    return load_bundle(folder / "a.safetensors").chosen;
  };
  EXPECT_TRUE(read_as("a selection of tomorrow", true));
  EXPECT_FALSE(read_as("dm", false));
  EXPECT_TRUE(read_as("herding", false)) << "as a file that does not say it yet";
}

TEST(Bundle, SameBundleGivesSameBytes) {
  const TempFolder folder;
  save_bundle(folder / "a.safetensors", small_bundle());
  save_bundle(folder / "b.safetensors", small_bundle());
  save_bundle(folder / "c.safetensors", load_bundle(folder / "a.safetensors"));
  const std::string bytes = read_text(folder / "a.safetensors");
  EXPECT_EQ(bytes, read_text(folder / "b.safetensors"));
  EXPECT_EQ(bytes, read_text(folder / "c.safetensors"));
}

TEST(Bundle, StorageCountsImagesAndLabels) {
  Bundle bundle = small_bundle();
  EXPECT_EQ(bundle.stored_bytes(), 5 * 48 * 4 + 3 * 8) << "one number a class";
  bundle.storage_bytes = 2 * 3 * 48 * 4;
  EXPECT_DOUBLE_EQ(bundle.images_per_class_equivalents(), 2.0);
  bundle.compact["bases"] = at::zeros({10});
  bundle.soft_labels = at::zeros({5, 3});
  bundle.student_learning_rate = 0.1;
  EXPECT_EQ(bundle.stored_bytes(), 40 + 3 * 8 + 15 * 4 + 8);
}

TEST(Bundle, HoldsWhiteningOfSmallImages) {
  const TempFolder folder;
  const Bundle bundle = whitened_bundle();
  save_bundle(folder / "a.safetensors", bundle);
  const Bundle read = load_bundle(folder / "a.safetensors");
  EXPECT_FALSE(read.preprocessing_missing);
  EXPECT_TRUE(at::equal(read.preprocessing.zca_matrix(), bundle.preprocessing.zca_matrix()));
  EXPECT_TRUE(at::equal(read.preprocessing.zca_inverse(), bundle.preprocessing.zca_inverse()));
}

/// One image of 64 pixels a side, whitened by a thin stand-in for its large matrix.
Bundle large_bundle() {
  Bundle bundle = small_bundle();
  bundle.images = at::zeros({5, 1, 64, 2});
  bundle.preprocessing = data::Preprocessing::zca(at::zeros({128}), at::eye(128), at::eye(128));
  return bundle;
}

TEST(Bundle, LeavesWhiteningOfLargeImagesToTheDataSet) {
  const TempFolder folder;
  save_bundle(folder / "a.safetensors", large_bundle());
  Bundle read = load_bundle(folder / "a.safetensors");
  EXPECT_TRUE(read.preprocessing_missing);
  EXPECT_EQ(read_text(folder / "a.safetensors").find("zca_matrix"), std::string::npos);
  save_bundle(folder / "b.safetensors", read);
  EXPECT_EQ(read_text(folder / "a.safetensors"), read_text(folder / "b.safetensors"));

  data::Dataset dataset;
  dataset.name = "toy";
  dataset.hash = "ffff";
  expect_error<StateError>([&] { fill_preprocessing(read, dataset); },
                           {"'toy'", "ffff", "0123456789abcdef"});
  dataset.hash = read.data_hash;
  expect_error<StateError>([&] { fill_preprocessing(read, dataset); }, {"'none'", "zca"});
  dataset.preprocessing = large_bundle().preprocessing;
  expect_error<StateError>([&] { export_bundle(read, "npz", folder / "a.npz"); },
                           {"whitening is not in the file"});
  fill_preprocessing(read, dataset);
  EXPECT_FALSE(read.preprocessing_missing);
  EXPECT_EQ(read.preprocessing.kind(), "zca");
}

TEST(Bundle, IsATrainingSource) {
  Bundle bundle = small_bundle();
  const data::Batch hard = bundle_source(bundle, at::kCPU)->get({3, 0});
  EXPECT_TRUE(at::equal(hard.targets, at::tensor({2, 0}, at::kLong)));
  EXPECT_TRUE(at::equal(hard.images[0], bundle.images[3]));
  bundle.soft_labels = at::softmax(at::rand({5, 3}), 1);
  const data::Batch soft = bundle_source(bundle, at::kCPU)->get({3});
  EXPECT_TRUE(at::equal(soft.targets[0], bundle.soft_labels[3]));
}

struct BadBundle {
  std::string what;
  std::function<void(Bundle&)> spoil;
  std::string text;
};

TEST(Bundle, RefusesToWriteWhatIsNotValid) {
  const TempFolder folder;
  const auto path = folder / "a.safetensors";
  write_text(path, "kept");
  const std::vector<BadBundle> cases = {
      {"NaN images", [](Bundle& b) { b.images[0][0][0][0] = NAN; }, "not finite"},
      {"infinite soft labels",
       [](Bundle& b) {
         b.soft_labels = at::full({5, 3}, INFINITY);
       },
       "soft labels"},
      {"infinite rate", [](Bundle& b) { b.student_learning_rate = INFINITY; }, "learning rate"},
      {"label too large", [](Bundle& b) { b.labels[4] = 3; }, "label 3 is out of range"},
      {"label too small", [](Bundle& b) { b.labels[0] = -1; }, "label -1 is out of range"},
      {"unordered labels", [](Bundle& b) { b.labels[0] = 2; }, "class after class"},
      {"too few labels", [](Bundle& b) { b.labels = b.labels.slice(0, 0, 4); }, "5 images"},
      {"labels of another type", [](Bundle& b) { b.labels = b.labels.to(at::kInt); }, "int64"},
      {"double images", [](Bundle& b) { b.images = b.images.to(at::kDouble); }, "float32"},
      {"flat images", [](Bundle& b) { b.images = b.images.flatten(1); }, "[M, C, H, W]"},
      {"no images", [](Bundle& b) { b.images = b.images.slice(0, 0, 0); }, "no images"},
      {"no classes", [](Bundle& b) { b.class_names.clear(); }, "no class names"},
      {"narrow soft labels",
       [](Bundle& b) {
         b.soft_labels = at::zeros({5, 2});
       },
       "[5, 3]"},
      {"another mean",
       [](Bundle& b) { b.preprocessing = data::Preprocessing::mean_std({0.5}, {0.5}); },
       "1 channels, images 3"},
      {"NaN bases", [](Bundle& b) { b.compact["bases"] = at::full({2}, NAN); }, "'bases'"},
  };
  for (const BadBundle& bad : cases) {
    SCOPED_TRACE(bad.what);
    Bundle bundle = small_bundle();
    bad.spoil(bundle);
    expect_error<StateError>([&] { save_bundle(path, bundle); }, {"a.safetensors", bad.text});
    EXPECT_EQ(read_text(path), "kept");
  }
}

TEST(Bundle, RefusesEveryTruncation) {
  const TempFolder folder;
  save_bundle(folder / "a.safetensors", small_bundle());
  const std::string bytes = read_text(folder / "a.safetensors");
  for (size_t size = 0; size < bytes.size(); size += size < 64 ? 1 : 61) {
    write_text(folder / "b.safetensors", bytes.substr(0, size));
    EXPECT_THROW(load_bundle(folder / "b.safetensors"), DataError) << size;
  }
}

struct BadFile {
  std::string what;
  std::function<void(TensorFile&)> spoil;
  std::vector<std::string> parts;
};

TEST(Bundle, RefusesBadFiles) {
  const TempFolder folder;
  const auto path = folder / "bad.safetensors";
  const std::vector<BadFile> cases = {
      {"another file", [](TensorFile& f) { f.metadata.clear(); }, {"not a bundle"}},
      {"version 0", [](TensorFile& f) { f.metadata["format_version"] = "0"; }, {"version is 0"}},
      {"no number", [](TensorFile& f) { f.metadata["seed"] = "7x"; }, {"'seed'", "7x"}},
      {"no key", [](TensorFile& f) { f.metadata.erase("recipe"); }, {"lack 'recipe'"}},
      {"no list", [](TensorFile& f) { f.metadata["class_names"] = "[1, 2"; }, {"'class_names'"}},
      {"numbers for names",
       [](TensorFile& f) { f.metadata["class_names"] = "[1, 2, 3]"; },
       {"'class_names'"}},
      {"too few names",
       [](TensorFile& f) { f.metadata["class_names"] = "[\"a\"]"; },
       {"label 2 is out of range"}},
      {"unknown preprocessing",
       [](TensorFile& f) { f.metadata["preprocessing"] = "log"; },
       {"'log'"}},
      {"std 0", [](TensorFile& f) { f.metadata["std"] = "[0.5, 0, 1]"; }, {"std above 0"}},
      {"one mean", [](TensorFile& f) { f.metadata["mean"] = "[0.5]"; }, {"mean and std"}},
      {"whitening without matrix",
       [](TensorFile& f) { f.metadata["preprocessing"] = "zca"; },
       {"'zca_mean' is missing"}},
      {"another shape",
       [](TensorFile& f) { f.metadata["shape"] = "[5, 3, 4, 5]"; },
       {"another shape"}},
      {"no images", [](TensorFile& f) { f.tensors.erase("images"); }, {"no tensor 'images'"}},
      {"images of doubles",
       [](TensorFile& f) { f.tensors["images"] = f.tensors["images"].to(at::kDouble); },
       {"not float32"}},
      {"NaN images", [](TensorFile& f) { f.tensors["images"][1] = NAN; }, {"not finite"}},
      {"label out of range",
       [](TensorFile& f) { f.tensors["labels"][4] = 99; },
       {"label 99 is out of range"}},
      {"float labels",
       [](TensorFile& f) { f.tensors["labels"] = f.tensors["labels"].to(at::kFloat); },
       {"int64"}},
      {"soft labels of another shape",
       [](TensorFile& f) {
         f.tensors["soft_labels"] = at::zeros({3, 5});
       },
       {"[5, 3]"}},
      {"two rates",
       [](TensorFile& f) { f.tensors["student_learning_rate"] = at::ones({2}, at::kDouble); },
       {"one float64 number"}},
  };
  for (const BadFile& bad : cases) {
    SCOPED_TRACE(bad.what);
    save_bundle(path, small_bundle());
    TensorFile file = load_tensors(path);
    bad.spoil(file);
    save_tensors(path, file.tensors, file.metadata);
    std::vector<std::string> parts = bad.parts;
    parts.push_back("bad.safetensors");
    expect_error<DataError>([&] { load_bundle(path); }, parts);
  }
  expect_error<DataError>([&] { load_bundle(folder / "none.safetensors"); }, {"none.safetensors"});
}

TEST(Bundle, RefusesANewerFormat) {
  const TempFolder folder;
  save_bundle(folder / "a.safetensors", small_bundle());
  TensorFile file = load_tensors(folder / "a.safetensors");
  file.metadata["format_version"] = "2";
  save_tensors(folder / "a.safetensors", file.tensors, file.metadata);
  expect_error<StateError>([&] { load_bundle(folder / "a.safetensors"); },
                           {"a.safetensors", "version 2", "newer version"});
}

}  // namespace
}  // namespace retort::synthetic
