// Data sets that cannot be used: each is refused with one message that names the file, and no run
// folder is made. Long: a table for every kind of data set, alike in form.
#include <functional>

#include "cli/refusal.h"
#include "data/layout_files.h"

namespace retort {
namespace {

namespace fs = std::filesystem;
using tests::TempFolder;
using Parts = std::vector<std::string>;

struct BadData {
  std::string fact;
  std::function<void(const fs::path& folder)> write;  ///< fills an empty folder
  Parts parts;
  int code = 3;
  std::string name = {};   ///< of the data inside the folder
  std::string flags = {};  ///< more of the command line
};

void expect_each_refused(const std::vector<BadData>& cases) {
  for (const BadData& bad : cases) {
    SCOPED_TRACE(bad.fact);
    const TempFolder folder;
    fs::create_directories(folder / "data");
    bad.write(folder / "data");
    std::vector<std::string> line{"distill", "--data", (folder / "data" / bad.name).string(),
                                  "--out", (folder / "run").string()};
    for (const std::string& word : tests::words(bad.flags)) line.push_back(word);
    tests::expect_refused(folder.path(), line, bad.code, bad.parts);
  }
}

void cut(const fs::path& file, size_t bytes) {
  fs::resize_file(file, fs::file_size(file) - bytes);
}

void nothing(const fs::path&) {}

void mnist(const fs::path& folder) {
  tests::write_mnist(folder);
}

TEST(BadData, DamagedCifarIsRefused) {
  const auto with = [](const std::string& name, const std::string& bytes) {
    return [=](const fs::path& folder) {
      tests::write_cifar10(folder);
      tests::write_text(folder / name, bytes);
    };
  };
  const std::string two = tests::cifar10_records({3, 4});
  expect_each_refused({
      {"truncated",
       with("data_batch_3.bin", two.substr(0, two.size() - 100)),
       {"data_batch_3.bin", "record 1 is not whole", "cut short: fetch it again"}},
      {"oversized",
       with("test_batch.bin", two + "too much"),
       {"test_batch.bin", "it holds 6154 bytes", "record 2 is not whole"}},
      {"empty file", with("data_batch_1.bin", ""), {"data_batch_1.bin", "it holds 0 bytes"}},
      {"label out of range",
       with("data_batch_2.bin", tests::cifar10_records({3, 17})),
       {"data_batch_2.bin", "label 17 in record 1", "labels of 0 to 9"}},
      {"missing batch",
       [](const fs::path& folder) {
         tests::write_cifar10(folder);
         fs::remove(folder / "data_batch_4.bin");
       },
       {"CIFAR-10 binary", "'data_batch_4.bin' is missing", "unpack the whole set there"}},
      {"a folder in the place of a batch",
       [](const fs::path& folder) {
         tests::write_cifar10(folder);
         fs::remove(folder / "data_batch_4.bin");
         fs::create_directory(folder / "data_batch_4.bin");
       },
       {"'data_batch_4.bin' is missing"}},
      {"coarse labels of a set that has none",
       tests::write_cifar10,
       {"coarse labels", "CIFAR-10 binary has one set of labels", "CIFAR-100"},
       2,
       "",
       "--label-set coarse"},
  });
}

TEST(BadData, PlacesWithoutDataAreRefused) {
  expect_each_refused({
      {"empty folder", nothing, {"data/'", "an empty folder", "one of these layouts"}},
      {"nonexistent path",
       nothing,
       {"nowhere'", "it is not there", "check the path"},
       3,
       "nowhere"},
      {"a file where a folder is meant",
       [](const fs::path& folder) { tests::write_text(folder / "notes.txt", "hello"); },
       {"notes.txt'", "a file that no reader knows", "one of these layouts"},
       3,
       "notes.txt"},
      {"a folder of other things",
       [](const fs::path& folder) { tests::write_text(folder / "notes.txt", "hello"); },
       {"no layout that a reader knows; the folder holds notes.txt", "archives must be unpacked"}},
      {"a name longer than a file system takes",
       nothing,
       {"it is not there"},
       3,
       std::string(300, 'x')},
  });
}

TEST(BadData, DamagedIdxIsRefused) {
  const auto with = [](const std::string& name, const std::string& bytes) {
    return [=](const fs::path& folder) {
      tests::write_mnist(folder);
      tests::write_text(folder / name, bytes);
    };
  };
  const std::string images = tests::idx_images(10, 4, 3);
  expect_each_refused({
      {"wrong magic",
       with("train-images-idx3-ubyte", "abcd" + images.substr(4)),
       {"train-images-idx3-ubyte", "first four bytes", "unsigned bytes in 3 dimensions"}},
      {"fewer labels than images",
       with("train-labels-idx1-ubyte", tests::idx_labels(tests::labels_below(9))),
       {"train-labels-idx1-ubyte", "9 labels for 10 images"}},
      {"truncated",
       with("t10k-images-idx3-ubyte", tests::idx_images(2, 4, 3).substr(0, 30)),
       {"t10k-images-idx3-ubyte", "it holds 14 bytes where 24 are wanted", "cut short"}},
      {"oversized",
       with("train-images-idx3-ubyte", images + "x"),
       {"train-images-idx3-ubyte", "it holds 121 bytes where 120 are wanted"}},
      {"label out of range",
       with("t10k-labels-idx1-ubyte", tests::idx_labels({7, 10})),
       {"t10k-labels-idx1-ubyte", "label 10 in record 1", "labels of 0 to 9"}},
      {"test images of another size",
       with("t10k-images-idx3-ubyte", tests::idx_images(2, 5, 3)),
       {"t10k-images-idx3-ubyte", "images of 5 x 3", "4 x 3"}},
      {"no images at all",
       with("train-images-idx3-ubyte", tests::idx_images(0, 4, 3)),
       {"train-images-idx3-ubyte", "size 0 in dimension 0"}},
      {"a class without training images",
       with("train-labels-idx1-ubyte", tests::idx_labels({0, 1, 2, 3, 4, 5, 6, 8, 8, 9})),
       {"class 7 ('7') has no training images", "leave the class out with --classes"}},
      {"unknown class",
       mnist,
       {"there is no class 'seven'", "accepted: 0, 1"},
       2,
       "",
       "--classes 1,seven"},
      {"a class twice", mnist, {"class '3' is asked for twice"}, 2, "", "--classes 3,4,3"},
      {"one class", mnist, {"1 class", "at least two classes"}, 3, "", "--classes 3"},
      {"a list of other data",
       mnist,
       {"of the list 'imagenette' is not in the data"},
       2,
       "",
       "--classes imagenette"},
      {"coarse labels", mnist, {"one set of labels"}, 2, "", "--label-set coarse"},
  });
}

TEST(BadData, DamagedGzipIsRefused) {
  RETORT_NEEDS_PARTS();
  // "retort\n" by gzip -n.
  const std::string gzip(
      "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x2b\x4a\x2d\xc9\x2f\x2a\xe1\x02\x00"
      "\x1d\xc8\x46\x2d\x07\x00\x00\x00",
      27);
  const auto with = [](const std::string& bytes) {
    return [=](const fs::path& folder) {
      tests::write_mnist(folder);
      fs::remove(folder / "train-images-idx3-ubyte");
      tests::write_text(folder / "train-images-idx3-ubyte.gz", bytes);
    };
  };
  expect_each_refused({
      {"truncated", with(gzip.substr(0, 14)), {"train-images-idx3-ubyte.gz", "what to do"}},
      {"not gzip", with("plain bytes"), {"train-images-idx3-ubyte.gz", "a gzip file"}},
      {"other content", with(gzip), {"train-images-idx3-ubyte.gz", "it holds 7 bytes", "header"}},
  });
}

TEST(BadData, BadImageFoldersAreRefused) {
  RETORT_NEEDS_PARTS();
  const auto with = [](const std::string& name, const std::string& bytes) {
    return [=](const fs::path& folder) {
      tests::write_image_folder(folder, {"cat", "dog"});
      tests::write_text(folder / name, bytes);
    };
  };
  const auto pets = [](const fs::path& folder) {
    tests::write_image_folder(folder, {"cat", "dog"});
  };
  expect_each_refused({
      {"mixed sizes",
       with("train/dog/b.png", tests::png(7, 5, 3)),
       {"cat/a.png' is 6 x 5", "dog/b.png' is 7 x 5", "pass --resolution N"}},
      {"a text file named .png",
       with("train/dog/b.png", "hello"),
       {"train/dog/b.png'", "no image of a known kind", "--skip-damaged"}},
      {"an empty file named .png",
       with("train/cat/c.png", ""),
       {"train/cat/c.png'", "an empty file"}},
      {"truncated picture",
       with("train/dog/b.png", tests::png(6, 5, 3).substr(0, 60)),
       {"train/dog/b.png'", "damaged"}},
      {"a class of other files",
       with("train/eel/notes.txt", "hello"),
       {"train/eel' holds no images, but files of other kinds: 1 .txt", "convert the files"}},
      {"a picture beside the class folders",
       with("train/stray.png", tests::png(6, 5, 3)),
       {"'stray.png' lies beside the class folders"}},
      {"a test class that is not trained",
       with("val/cow/x.png", tests::png(6, 5, 3)),
       {"'cow' has no counterpart in the training part"}},
      {"an empty class folder",
       [&](const fs::path& folder) {
         pets(folder);
         fs::create_directory(folder / "train" / "eel");
       },
       {"train/eel' holds no images", "fill the folder or remove it"}},
      {"one class folder",
       [](const fs::path& folder) { tests::write_image_folder(folder, {"cat"}); },
       {"1 class", "at least two classes"}},
      {"unknown class",
       pets,
       {"there is no class 'dgo'", "accepted: cat, dog", "did you mean 'dog'?\n"},
       2,
       "",
       "--classes cat,dgo"},
  });
}

std::string floats_npy(const std::vector<int64_t>& shape, float value) {
  int64_t count = 1;
  for (const int64_t side : shape) count *= side;
  return tests::numbers_npy(DType::kF32, shape,
                            std::vector<float>(static_cast<size_t>(count), value));
}

TEST(BadData, DamagedNpzIsRefused) {
  RETORT_NEEDS_PARTS();
  using Arrays = std::vector<std::pair<std::string, std::string>>;
  const auto with = [](const Arrays& arrays) {
    return [=](const fs::path& folder) { tests::write_npz(folder / "a.npz", arrays); };
  };
  const std::string images = tests::bytes_npy({4, 5, 5});
  const std::string labels = tests::labels_npy({0, 0, 1, 1});
  const Arrays good{{"x_train", images}, {"y_train", labels}};
  const std::string a = "a.npz";
  expect_each_refused({
      {"truncated",
       [&](const fs::path& folder) {
         with(good)(folder);
         cut(folder / "a.npz", 40);
       },
       {"a.npz'", "a whole, undamaged archive"},
       3,
       a},
      {"not a zip file",
       [](const fs::path& f) { tests::write_text(f / "a.npz", "hello"); },
       {"a.npz'", "what to do"},
       3,
       a},
      {"images as float",
       with({{"x_train", floats_npy({4, 5, 5}, -2.5f)}, {"y_train", labels}}),
       {"a.npz:x_train'", "'x_train' is F32 [4, 5, 5]", "save them as uint8 from 0 to 255"},
       3,
       a},
      {"labels as float",
       with({{"x_train", images}, {"y_train", floats_npy({4}, 0.5f)}}),
       {"a.npz'", "'y_train' holds 0.5", "whole numbers [N]"},
       3,
       a},
      {"a label below 0",
       with({{"x_train", images}, {"y_train", tests::labels_npy({0, -1, 1, 1})}}),
       {"a.npz:y_train'", "label -1 in record 1"},
       3,
       a},
      {"fewer labels",
       with({{"x_train", images}, {"y_train", tests::labels_npy({0, 1})}}),
       {"a.npz'", "2 labels for 4 images"},
       3,
       a},
      {"no labels",
       with({{"x_train", images}}),
       {"a.npz'", "the array 'y_train' is missing"},
       3,
       a},
      {"unknown names",
       with({{"pixels", images}}),
       {"a.npz'", "none of its arrays has a known name", "x_train"},
       3,
       a},
      {"nothing to test on",
       with(good),
       {"a.npz'", "test_fraction is 0", "such as 0.2"},
       2,
       a,
       "--test-fraction 0"},
      {"one image a class",
       with({{"x_train", tests::bytes_npy({2, 5, 5})}, {"y_train", tests::labels_npy({0, 1})}}),
       {"a.npz'", "one image a class", "add images"},
       3,
       a},
  });
}

}  // namespace
}  // namespace retort
