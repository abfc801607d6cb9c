// Reading finished experts: the numbers, and what is refused.
#include "retort/trajectories/trajectories.h"

#include <gtest/gtest.h>

#include "io/content_hash.h"
#include "retort/core/error.h"
#include "retort/io/tensor_file.h"
#include "support/resealed.h"
#include "trajectories/small_experts.h"
#include "trajectories/trajectory_file.h"

namespace retort::trajectories {
namespace {

using retort::tests::expect_error;
using retort::tests::read_text;
using retort::tests::resealed;
using retort::tests::TempFolder;
using retort::tests::write_text;
using tests::Small;

/// One folder of finished experts, copied by each case.
class TrajectoriesOfASmallSet : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempFolder;
    small_ = new Small;
    small_->train(*folder_ / "e");
  }
  static void TearDownTestSuite() {
    delete folder_;
    delete small_;
  }
  static std::filesystem::path copy(const std::string& name) {
    std::filesystem::copy(*folder_ / "e", *folder_ / name);
    return *folder_ / name;
  }
  static Trajectories open(const std::filesystem::path& folder) {
    return Trajectories(folder, small_->data, *small_->network);
  }

  static inline TempFolder* folder_ = nullptr;
  static inline Small* small_ = nullptr;
};

TEST_F(TrajectoriesOfASmallSet, HoldEverySnapshot) {
  const Trajectories read = open(*folder_ / "e");
  EXPECT_EQ(read.count(), 3);
  EXPECT_EQ(read.epochs(), 4);
  for (int64_t k = 0; k < 3; ++k) {
    const TrajectoryFile file(trajectory_path(*folder_ / "e", k));
    for (int64_t t = 0; t <= 4; ++t) EXPECT_TRUE(at::equal(read.snapshot(k, t), file.row(t)));
  }
  EXPECT_FALSE(at::equal(read.snapshot(0, 0), read.snapshot(1, 0)));
  EXPECT_FALSE(at::equal(read.snapshot(0, 0), read.snapshot(0, 4)));
  const at::Tensor whole = load_tensors(trajectory_path(*folder_ / "e", 2)).tensors.at("snapshots");
  EXPECT_TRUE(at::equal(read.snapshot(2, 3), whole[3]));
}

TEST_F(TrajectoriesOfASmallSet, AreNamedByTheirContentWhereverTheyLie) {
  const auto moved = copy("moved");
  EXPECT_EQ(open(moved).fingerprint(), open(*folder_ / "e").fingerprint());
  std::filesystem::remove(trajectory_path(moved, 2));
  EXPECT_NE(open(moved).fingerprint(), open(*folder_ / "e").fingerprint());
  EXPECT_EQ(open(moved).count(), 2);
}

TEST_F(TrajectoriesOfASmallSet, InHalfPrecisionAreNear) {
  Small half;
  half.options.snapshots = "float16";
  half.train(*folder_ / "half");
  const Trajectories read = open(*folder_ / "half"), exact = open(*folder_ / "e");
  EXPECT_EQ(read.snapshot(1, 4).scalar_type(), at::kFloat);
  const at::Tensor expected = exact.snapshot(1, 4).to(at::kHalf).to(at::kFloat);
  EXPECT_TRUE(at::equal(read.snapshot(1, 4), expected));
  EXPECT_LT(
      std::filesystem::file_size(trajectory_path(*folder_ / "half", 0)),
      0.8 * static_cast<double>(std::filesystem::file_size(trajectory_path(*folder_ / "e", 0))));
}

TEST_F(TrajectoriesOfASmallSet, OfSomethingElseAreRefused) {
  const auto folder = *folder_ / "e";
  const data::Dataset other = tests::small_data(2);
  expect_error<StateError>([&] { Trajectories(folder, other, *small_->network); },
                           {"expert_0000.safetensors'", "data, by their hash: " + small_->data.hash,
                            other.hash, "give the data"});
  const auto network = nets::make_network("convnet-w4-d2", {1, 8, 8, 3});
  expect_error<StateError>([&] { Trajectories(folder, small_->data, *network); },
                           {"network: convnet-w4-d1", "convnet-w4-d2", "--network"});
  const auto classes = nets::make_network("convnet-w4-d1", {1, 8, 8, 4});
  expect_error<StateError>([&] { Trajectories(folder, small_->data, *classes); },
                           {"first parameter that differs: [3,144] for \"classifier.weight\"",
                            "[4,144]", "same image size"});
  data::Dataset ordered = small_->data;
  std::swap(ordered.class_names[0], ordered.class_names[2]);
  expect_error<StateError>([&] { Trajectories(folder, ordered, *small_->network); },
                           {"classes: class 0 is \"a\"", "class 0 is \"c\"", "--classes"});
  data::Dataset scaled = small_->data;
  scaled.preprocessing = data::Preprocessing::mean_std({0.5}, {0.25});
  expect_error<StateError>([&] { Trajectories(folder, scaled, *small_->network); },
                           {"preprocessing: mean 0.5", "deviation 0.25", "--normalisation"});
  data::Dataset part = small_->data;
  part.train =
      data::make_split(part.train.images.narrow(0, 0, 12), part.train.labels.narrow(0, 0, 12), 3);
  expect_error<StateError>([&] { Trajectories(folder, part, *small_->network); },
                           {"training part: 24 images", "12 images", "--validation-fraction"});
}

TEST_F(TrajectoriesOfASmallSet, WithTheSameWhiteningFit) {
  Small white;
  white.data.preprocessing = data::fit_zca(white.data.train.images, 0.1);
  white.train(*folder_ / "white");
  data::Dataset again = white.data;
  const auto& fitted = white.data.preprocessing;
  again.preprocessing = data::Preprocessing::zca(
      fitted.zca_mean(), fitted.zca_matrix() * (1 + 1e-7), fitted.zca_inverse());
  EXPECT_EQ(Trajectories(*folder_ / "white", again, *white.network).count(), 3);
  again.preprocessing = data::fit_zca(white.data.train.images, 0.11);
  expect_error<StateError>([&] { Trajectories(*folder_ / "white", again, *white.network); },
                           {"whitened by a matrix of trace", "--zca-epsilon"});
}

TEST_F(TrajectoriesOfASmallSet, ThatAreDamagedOrUnfinishedAreRefused) {
  expect_error<DataError>([&] { open(*folder_ / "none"); }, {"none'", "not a folder"});
  const auto unfinished = *folder_ / "unfinished";
  write_text(unfinished / "expert_0000.partial", "");
  expect_error<DataError>([&] { open(unfinished); }, {"no finished experts, 1 unfinished"});
  const std::string whole = read_text(trajectory_path(*folder_ / "e", 0));
  const auto refused = [&](const std::string& name, const std::string& bytes,
                           const std::string& text) {
    write_text(trajectory_path(*folder_ / name, 0), bytes);
    expect_error<DataError>([&] { open(*folder_ / name); }, {"expert_0000.safetensors'", text});
  };
  refused("cut", whole.substr(0, whole.size() / 2), "lie outside the file");
  refused("empty", "", "it holds 0 bytes");
  std::string format = whole;
  format.replace(format.find("retort.trajectory"), 17, "retort.trajektory");
  refused("format", resealed(format), "its format is 'retort.trajektory'");
  save_tensors(trajectory_path(*folder_ / "tensors", 0), {{"snapshots", at::zeros({2, 3})}},
               {{"format", "retort.trajectory"}, {"format_version", "1"}});
  expect_error<DataError>([&] { open(*folder_ / "tensors"); }, {"no tensor 'losses'"});
  save_tensors(trajectory_path(*folder_ / "newer", 0), {{"snapshots", at::zeros({2, 3})}},
               {{"format", "retort.trajectory"}, {"format_version", "2"}});
  expect_error<StateError>([&] { open(*folder_ / "newer"); }, {"version is 2", "update retort"});
}

TEST_F(TrajectoriesOfASmallSet, WithAFlippedByteAreNamed) {
  const auto folder = *folder_ / "flipped";
  const std::string whole = read_text(trajectory_path(*folder_ / "e", 0));
  const auto read_all = [&] {
    const Trajectories read = open(folder);
    for (int64_t epoch = 0; epoch <= read.epochs(); ++epoch) read.snapshot(0, epoch);
  };
  write_text(trajectory_path(folder, 0), whole);
  read_all();
  for (size_t i = 0; i < whole.size(); i += 1 + whole.size() / 300) {
    std::string flipped = whole;
    flipped[i] ^= 16;
    write_text(trajectory_path(folder, 0), flipped);
    EXPECT_THROW(read_all(), Error) << "byte " << i;
  }
  std::string flipped = whole;
  flipped.back() ^= 1;
  write_text(trajectory_path(folder, 0), flipped);
  expect_error<DataError>(
      read_all, {"expert_0000.safetensors'", "the file is damaged: snapshot 4 is not as"});
}

TEST_F(TrajectoriesOfASmallSet, ThatHoldANumberThatIsNotFiniteAreNamed) {
  TensorFile file = load_tensors(trajectory_path(*folder_ / "e", 0));
  at::Tensor& snapshots = file.tensors.at("snapshots");
  snapshots[2][3] = std::numeric_limits<float>::quiet_NaN();
  file.tensors.at("hashes.snapshots")[2] =
      piece_hash(snapshots[2].data_ptr(), snapshots[2].nbytes());
  save_tensors(trajectory_path(*folder_ / "nan", 0), file.tensors, file.metadata);
  expect_error<DataError>([&] { open(*folder_ / "nan").snapshot(0, 2); },
                          {"expert_0000.safetensors'", "snapshot 2 holds a number that is not"});
}

}  // namespace
}  // namespace retort::trajectories
