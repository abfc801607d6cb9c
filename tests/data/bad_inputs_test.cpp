// Sets that are refused, and what the message says. Long: one table, a case a row.
#include <gtest/gtest.h>

#include "data/layout_files.h"
#include "retort/core/error.h"
#include "retort/data/raw.h"
#include "support/support.h"

namespace retort::data {
namespace {

using namespace tests;
namespace fs = std::filesystem;

/// A set made bad by `spoil`, and parts of the message that reading it must give.
struct BadInput {
  const char* what;
  void (*spoil)(const fs::path& folder);
  std::vector<std::string> message;
  const char* file = "";  ///< read this file in place of the folder
};

const BadInput kBadInputs[] = {
    {"a missing folder",
     [](const fs::path&) {},
     {"nowhere", "not there", "CIFAR-10 binary", "SVHN"},
     "nowhere"},
    {"an empty folder",
     [](const fs::path&) {},
     {"an empty folder", "Tiny-ImageNet", "image folder"}},
    {"an unknown folder",
     [](const fs::path& f) { write_text(f / "notes.txt", "x"); },
     {"no layout", "notes.txt", "MNIST family", "unpacked first"}},
    {"an unknown file",
     [](const fs::path& f) { write_text(f / "set.tar", "x"); },
     {"set.tar", "a file that no reader knows"},
     "set.tar"},
    {"a missing CIFAR batch",
     [](const fs::path& f) {
       write_cifar10(f);
       fs::remove(f / "data_batch_3.bin");
     },
     {"CIFAR-10 binary", "'data_batch_3.bin' is missing"}},
    {"a truncated CIFAR batch",
     [](const fs::path& f) {
       write_cifar10(f);
       fs::resize_file(f / "data_batch_4.bin", 5000);
     },
     {"data_batch_4.bin", "5000", "6146", "record 1", "cut short"}},
    {"an empty CIFAR batch",
     [](const fs::path& f) {
       write_cifar10(f);
       fs::resize_file(f / "test_batch.bin", 0);
     },
     {"test_batch.bin", "0 bytes", "3073"}},
    {"an oversized CIFAR batch",
     [](const fs::path& f) {
       write_cifar10(f);
       write_text(f / "test_batch.bin", cifar10_records({1}) + "x");
     },
     {"test_batch.bin", "3074", "record 1"}},
    {"a CIFAR label out of range",
     [](const fs::path& f) {
       write_cifar10(f);
       write_text(f / "data_batch_2.bin", cifar10_records({2, 10}));
     },
     {"data_batch_2.bin", "label 10 in record 1", "0 to 9"}},
    {"a CIFAR class without images",
     [](const fs::path& f) {
       write_cifar10(f);
       write_text(f / "data_batch_2.bin", cifar10_records({2, 2}));
     },
     {"class 3 ('cat')", "no training images"}},
    {"a CIFAR-100 fine label out of range",
     [](const fs::path& f) {
       write_cifar100(f);
       write_text(f / "test.bin", cifar100_records({5, 100}));
     },
     {"test.bin", "label 100 in record 1", "0 to 99"}},
    {"CIFAR-100 without names",
     [](const fs::path& f) {
       write_cifar100(f);
       fs::remove(f / "fine_label_names.txt");
     },
     {"CIFAR-100 binary", "'fine_label_names.txt' is missing"}},
    {"CIFAR-100 with a name too few",
     [](const fs::path& f) {
       write_cifar100(f);
       write_text(f / "fine_label_names.txt", "a\nb\n");
     },
     {"fine_label_names.txt", "2 class names", "100 names"}},
    {"a missing pickle",
     [](const fs::path& f) { write_text(f / "data_batch_1", "x"); },
     {"CIFAR-10 Python", "'batches.meta' is missing"}},
    {"a pickle that is none",
     [](const fs::path& f) {
       write_text(f / "train", "x");
       write_text(f / "test", "y");
       write_text(f / "meta", "z");
     },
     {"meta"}},
    {"missing idx labels",
     [](const fs::path& f) {
       write_mnist(f);
       fs::remove(f / "train-labels-idx1-ubyte");
     },
     {"'train-labels-idx1-ubyte' is missing"}},
    {"truncated idx images",
     [](const fs::path& f) {
       write_mnist(f);
       fs::resize_file(f / "t10k-images-idx3-ubyte", 30);
     },
     {"t10k-images-idx3-ubyte", "14", "24"}},
    {"idx labels and images that differ in number",
     [](const fs::path& f) {
       write_mnist(f);
       write_text(f / "t10k-labels-idx1-ubyte", idx_labels({1, 2, 3}));
     },
     {"t10k-labels-idx1-ubyte", "3 labels for 2 images"}},
    {"an idx label out of range",
     [](const fs::path& f) {
       write_mnist(f);
       write_text(f / "t10k-labels-idx1-ubyte", idx_labels({1, 12}));
     },
     {"t10k-labels-idx1-ubyte", "label 12 in record 1"}},
    {"idx images of another size in the test part",
     [](const fs::path& f) {
       write_mnist(f);
       write_text(f / "t10k-images-idx3-ubyte", idx_images(2, 5, 3));
     },
     {"t10k-images-idx3-ubyte", "5 x 3", "4 x 3"}},
    {"a damaged .gz",
     [](const fs::path& f) {
       write_mnist(f);
       fs::remove(f / "train-images-idx3-ubyte");
       write_text(f / "train-images-idx3-ubyte.gz", "\x1f\x8b\x08 cut");
     },
     {"train-images-idx3-ubyte.gz"}},
    {"a class folder with files of other kinds only",
     [](const fs::path& f) {
       write_image_folder(f, {"a", "b"});
       write_text(f / "train/c/1.svg", "x");
       write_text(f / "train/c/2.svg", "x");
       write_text(f / "train/c/Thumbs.db", "x");
     },
     {"train/c", "holds no images", "2 .svg", "convert"}},
    {"images without class folders",
     [](const fs::path& f) {
       write_text(f / "x.png", png(6, 5, 3));
       write_text(f / "y.png", png(6, 5, 3));
     },
     {"holds images (2, the first is 'x.png')", "no class folders", "name of its class"}},
    {"classes one folder deeper",
     [](const fs::path& f) {
       write_image_folder(f / "PetImages/all", {"Cat", "Dog"});
     },
     {"'PetImages'", "holds no images, only folders of images", "did you mean '",
      "PetImages/all'"}},
    {"classes in groups",
     [](const fs::path& f) {
       for (const char* name : {"cats/siamese", "cats/persian", "dogs/poodle", "dogs/beagle"})
         write_text(f / name / "1.png", png(6, 5, 3));
     },
     {"'cats', 'dogs'", "only folders of images", "did you mean '"}},
    {"two training parts",
     [](const fs::path& f) {
       write_image_folder(f / "a", {"x", "y"});
       fs::rename(f / "a/train", f / "train_left");
       write_image_folder(f / "a", {"x", "y"});
       fs::rename(f / "a/train", f / "train_right");
     },
     {"'train_left', 'train_right'", "training part"}},
    {"a test part of other classes",
     [](const fs::path& f) {
       write_image_folder(f, {"a", "b"});
       for (const char* name : {"test/A/1.png", "test/B/1.png"}) write_text(f / name, png(6, 5, 3));
     },
     {"'A', 'B'", "counterpart", "'a', 'b'"}},
    {"a text file with an image's name",
     [](const fs::path& f) {
       write_image_folder(f, {"a", "b"});
       write_text(f / "train/b/c.jpg", "text");
     },
     {"train/b/c.jpg", "no image of a known kind"}},
    {"a truncated image",
     [](const fs::path& f) {
       write_image_folder(f, {"a", "b"});
       fs::resize_file(f / "train/a/a.png", 60);
     },
     {"train/a/a.png", "cut off"}},
    {"an empty class folder",
     [](const fs::path& f) {
       write_image_folder(f, {"a", "b"});
       fs::create_directories(f / "train/c");
     },
     {"train/c", "holds no images"}},
    {"an image beside the class folders",
     [](const fs::path& f) {
       write_image_folder(f, {"a", "b"});
       write_text(f / "train/x.png", png(6, 5, 3));
     },
     {"x.png", "beside the class folders"}},
    {"a test class that is not trained",
     [](const fs::path& f) {
       write_image_folder(f, {"a", "b"});
       fs::create_directories(f / "val/z");
     },
     {"'z'", "no counterpart"}},
    {"one class only",
     [](const fs::path& f) { write_image_folder(f, {"a"}); },
     {"1 class", "at least two classes"}},
    {"Tiny-ImageNet without annotations",
     [](const fs::path& f) {
       write_tiny_imagenet(f);
       fs::remove(f / "val/val_annotations.txt");
     },
     {"Tiny-ImageNet", "'val_annotations.txt' is missing"}},
    {"Tiny-ImageNet with an unknown wnid",
     [](const fs::path& f) {
       write_tiny_imagenet(f);
       write_text(f / "val/val_annotations.txt", "val_0.JPEG\tn1\t0\n");
     },
     {"val_annotations.txt", "line 1", "'n1'"}},
    {"Tiny-ImageNet with a class elsewhere",
     [](const fs::path& f) {
       write_tiny_imagenet(f);
       write_text(f / "wnids.txt", "n02124075\n/\nn01443537\n");
     },
     {"wnids.txt", "'/'", "no wnid"}},
    {"Tiny-ImageNet with an image elsewhere",
     [](const fs::path& f) {
       write_tiny_imagenet(f);
       write_text(f / "val/val_annotations.txt", "../images/val_0.JPEG\tn01443537\t0\n");
     },
     {"val_annotations.txt", "line 1", "'../images/val_0.JPEG'"}},
    {"Tiny-ImageNet without a class",
     [](const fs::path& f) {
       write_tiny_imagenet(f);
       fs::remove_all(f / "train/n01443537");
     },
     {"n01443537", "missing", "wnids.txt"}},
    {"Tiny-ImageNet without an annotated image",
     [](const fs::path& f) {
       write_tiny_imagenet(f);
       fs::remove(f / "val/images/val_0.JPEG");
     },
     {"val_0.JPEG"}},
    {"an npz that is no archive",
     [](const fs::path& f) { write_text(f / "s.npz", "text"); },
     {"s.npz"},
     "s.npz"},
    {"an npz with unknown names",
     [](const fs::path& f) {
       write_npz(f / "s.npz", {{"pixels", bytes_npy({2, 3, 3})}});
     },
     {"s.npz", "known name", "x_train"},
     "s.npz"},
    {"an npz without labels",
     [](const fs::path& f) {
       write_npz(f / "s.npz", {{"images", bytes_npy({2, 3, 3})}});
     },
     {"s.npz", "'labels' is missing"},
     "s.npz"},
    {"an npz with a label too few",
     [](const fs::path& f) {
       write_npz(f / "s.npz", {{"images", bytes_npy({2, 3, 3})}, {"labels", labels_npy({0})}});
     },
     {"s.npz", "1 labels for 2 images"},
     "s.npz"},
    {"an npz of wrong shape",
     [](const fs::path& f) {
       write_npz(f / "s.npz",
                 {{"images", bytes_npy({2, 5, 3, 4})}, {"labels", labels_npy({0, 1})}});
     },
     {"s.npz", "U8 [2, 5, 3, 4]", "[N, C, H, W]"},
     "s.npz"},
    {"an npz of floats",
     [](const fs::path& f) {
       write_npz(f / "s.npz",
                 {{"images", numbers_npy<float>(DType::kF32, {2, 1, 1}, {-1.5f, 2.5f})},
                  {"labels", labels_npy({0, 1})}});
     },
     {"s.npz", "F32", "-1.5 to 2.5", "uint8 from 0 to 255", "x * std + mean"},
     "s.npz"},
    {"an npz with a negative label",
     [](const fs::path& f) {
       write_npz(f / "s.npz", {{"images", bytes_npy({2, 3, 3})}, {"labels", labels_npy({0, -1})}});
     },
     {"s.npz", "label -1 in record 1"},
     "s.npz"},
    {"an npz with an enormous label",
     [](const fs::path& f) {
       write_npz(f / "s.npz",
                 {{"images", bytes_npy({2, 3, 3})}, {"labels", labels_npy({0, int64_t{1} << 60})}});
     },
     {"s.npz", "in record 1"},
     "s.npz"},
    {"an npz with a class left out",
     [](const fs::path& f) {
       write_npz(f / "s.npz", {{"images", bytes_npy({2, 3, 3})}, {"labels", labels_npy({0, 2})}});
     },
     {"class 1", "no training images"},
     "s.npz"},
};

TEST(ReadDataset, RefusesEveryBadInputWithOneClearError) {
  for (const BadInput& bad : kBadInputs) {
    SCOPED_TRACE(bad.what);
    const TempFolder folder;
    const fs::path path = *bad.file ? folder / bad.file : folder.path();
    try {
      bad.spoil(folder.path());
      read_dataset(path, {});
    } catch (const ResourceError& absent) {
      EXPECT_FALSE(images_and_archives()) << absent.what();
      continue;
    } catch (const Error&) {
    }
    expect_error<DataError>([&] { read_dataset(path, {}); }, bad.message);
  }
}

}  // namespace
}  // namespace retort::data
