// What import asks for and says, and what export makes of a name.
#include <gtest/gtest.h>

#include "cli/refusal.h"
#include "cli/small_data.h"
#include "io/archive.h"
#include "io/npy.h"
#include "retort/core/random.h"
#include "retort/core/records.h"
#include "retort/data/image_file.h"
#include "retort/synthetic/bundle.h"
#include "support/support.h"

namespace retort {
namespace {

using tests::Answer;
using tests::call;
using tests::TempFolder;
using tests::words;

/// A set of ten 28x28 images with these labels, as .npz.
void write_set(const std::filesystem::path& path, const at::Tensor& images,
               const at::Tensor& labels) {
  const auto bytes = [](const at::Tensor& tensor, DType type) {
    return npy_bytes(type, tensor.sizes().vec(),
                     {static_cast<const char*>(tensor.data_ptr()), tensor.nbytes()});
  };
  write_stored_zip(path, {{"images.npy", bytes(images, DType::kF32)},
                          {"labels.npy",
                           bytes(labels, labels.is_floating_point() ? DType::kF32 : DType::kI64)}});
}

class Sets : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!archives_available()) GTEST_SKIP() << "this build has no libarchive";
    tests::write_small_data(folder / "data");
    data = " --data " + (folder / "data").string();
    images = at::empty({10, 1, 28, 28});
    RandomStream(1, "test.images").fill_normal(images.data_ptr<float>(), images.numel());
  }
  std::string at(const std::string& name) const { return (folder / name).string(); }
  TempFolder folder;
  std::string data;
  at::Tensor images;
};

TEST_F(Sets, AreNotImportedWithoutTheirData) {
  write_set(folder / "a.npz", images, at::arange(10));
  tests::expect_refused(folder.path(),
                        words("import " + at("a.npz") + " --out " + at("a.safetensors")), 2,
                        {"neither its classes nor the normalisation", "--data"});
  EXPECT_EQ(call(words("import " + at("a.npz") + data + " --out " + at("a.safetensors"))).code, 0);
  // Our own exports say what they were made from.
  ASSERT_EQ(call(words("export " + at("a.safetensors") + " --out " + at("b.npz"))).code, 0);
  const Answer own = call(words("import " + at("b.npz") + " --out " + at("b.safetensors")));
  EXPECT_EQ(own.code, 0) << own.err;
  EXPECT_EQ(synthetic::load_bundle(folder / "b.safetensors").class_names,
            synthetic::load_bundle(folder / "a.safetensors").class_names);
}

TEST_F(Sets, AreImportedWithNotesOnWhatWasConverted) {
  write_set(folder / "a.npz", images.abs() / images.abs().max(), at::eye(10) * 9 - 1);
  const std::string line = "import " + at("a.npz") + data + " --out " + at("a.safetensors");
  tests::expect_refused(folder.path(), words(line), 3, {"--labels logits"});
  const Answer made = call(words(line + " --labels logits --json"));
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_NE(made.err.find("note: all numbers lie from"), std::string::npos) << made.err;
  EXPECT_EQ(Json::parse(made.out).at("notes").size(), 2U);
  tests::expect_message(call(words(line + " --labels logit")), 2, {"logits"});
}

TEST_F(Sets, GoToTheFormatThatTheNameSays) {
  write_set(folder / "a.npz", images, at::arange(10));
  const std::string set = at("a.safetensors");
  ASSERT_EQ(call(words("import " + at("a.npz") + data + " --out " + set)).code, 0);
  ASSERT_EQ(call(words("export " + set + " --out " + at("y.npz"))).code, 0);
  EXPECT_EQ(tests::read_text(folder / "y.npz").find("images.npy"), 30U) << "a zip of arrays";
  ASSERT_EQ(call(words("export " + set + " --out " + at("y.pt"))).code, 0);
  EXPECT_NE(tests::read_text(folder / "y.pt").find("archive/data.pkl"), std::string::npos);
  tests::expect_refused(folder.path(), words("export " + set + " --format pt --out " + at("p/")), 2,
                        {"it is a folder", "p/set.pt", "--format png"});
  tests::expect_refused(folder.path(), words("export " + set + " --out " + at("y.mat")), 2,
                        {"'.mat'", ".npz", "--format"});
  tests::expect_refused(folder.path(), words("export " + set + " --format png --out " + at("y.pt")),
                        2, {"it is a file", "folder"});
  if (!data::png_available()) return;
  ASSERT_EQ(call(words("export " + set + " --out " + at("pictures/"))).code, 0);
  EXPECT_TRUE(std::filesystem::exists(folder / "pictures/class_names.txt"));
}

TEST_F(Sets, OfMoreImagesThanAClassHasAreFilledUpOrRefused) {
  const std::string some =
      " --images-per-class 12 --iterations 1 --threads 1 "
      "--network convnet-w4-d1" +
      data + " --out ";
  tests::expect_refused(
      folder.path(), words("distill --method random" + some + at("r")), 2,
      {"has 10 training images, 12 are asked for", "--images-per-class 10", "proportional:TOTAL"});
  for (const char* start : {"real", "noise"}) {
    const Answer made = call(words("distill --method dm --real-batch 4 --initialisation " +
                                   std::string(start) + some + at(start)));
    ASSERT_EQ(made.code, 0) << made.err;
    const std::string note =
        "note: 10 of 10 classes have fewer training images than are asked for (class '0' has 10 "
        "training images, 12 are asked for; class '1' has 10 training images, 12 are asked for; "
        "and so "
        "on): ";
    const size_t at = made.err.find(note);
    ASSERT_NE(at, std::string::npos) << made.err;
    EXPECT_EQ(made.err.find("are asked", at + note.size()), std::string::npos) << made.err;
  }
  const synthetic::Bundle bundle = synthetic::load_bundle(folder / "real/distilled.safetensors");
  EXPECT_EQ(bundle.counts(), std::vector<int64_t>(10, 12));
  const at::Tensor first = bundle.images.slice(0, 0, 12).flatten(1);
  EXPECT_GT(at::pdist(first).min().item<float>(), 0.1) << "no two images are equal";
  const Answer evaluated =
      call(words("eval " + at("real") + data +
                 " --protocol demo --evaluation-epochs 1 --students 1 --threads 1"));
  EXPECT_EQ(evaluated.code, 0) << evaluated.err;
}

TEST_F(Sets, OfFactorsAndBasesOfAnySizeAreRefused) {
  const std::string line =
      "distill --method dm --images-per-class 1 --iterations 1 --network "
      "convnet-w4-d1" +
      data + " --out " + at("run") + " --parametrisation ";
  for (const char* options :
       {"multiformation --factor 9223372036854775807", "memories --bases 23710467961066262",
        "memories --addressers 9223372036854775807", "frequency --frequencies 9223372036854775807"})
    tests::expect_refused(folder.path(), words(line + options), 2, {"--"});
}

}  // namespace
}  // namespace retort
