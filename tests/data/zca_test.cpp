#include "data/zca.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "data/measure.h"
#include "retort/core/device.h"
#include "retort/core/error.h"
#include "retort/core/random.h"
#include "support/golden_tensors.h"
#include "support/support.h"

namespace retort::data {
namespace {

/// 300 images of 2x3x3 pixels that vary together: neighbours share half of their value.
at::Tensor correlated() {
  at::Tensor noise = at::empty({300, 18}, at::kFloat);
  RandomStream(1, "test").fill_uniform(noise.data_ptr<float>(), noise.numel(), 0, 127);
  return (noise + noise.roll({1}, {1})).to(at::kByte).view({300, 2, 3, 3});
}

at::Tensor covariance(const at::Tensor& rows) {
  const at::Tensor centred = rows - rows.mean(0, true);
  return at::mm(centred.t(), centred) / static_cast<double>(rows.size(0) - 1);
}

bool same(const Preprocessing& a, const Preprocessing& b) {
  return a.zca_mean().equal(b.zca_mean()) && a.zca_matrix().equal(b.zca_matrix()) &&
         a.zca_inverse().equal(b.zca_inverse());
}

TEST(Zca, WhitensOnePixelByHand) {
  // Values 0 and 1: mean 0.5, variance 0.5 with n - 1; 1 / sqrt(0.5 + 0.5) = 1.
  const at::Tensor images = at::tensor({0, 255}, at::kByte).view({2, 1, 1, 1});
  const Preprocessing fitted = fit_zca(images, 0.5);
  EXPECT_EQ(fitted.kind(), "zca");
  const at::Tensor input = fitted.apply(images, at::kCPU).flatten();
  EXPECT_TRUE(at::allclose(input, at::tensor({-0.5f, 0.5f}), 1e-6, 1e-6));
}

TEST(Zca, LeavesVarianceSOverSPlusEpsilon) {
  const at::Tensor images = correlated();
  const double epsilon = 0.1;
  const at::Tensor before = covariance(images.flatten(1).to(at::kDouble) / 255);
  const at::Tensor input = fit_zca(images, epsilon).apply(images, at::kCPU);
  const at::Tensor after = covariance(input.flatten(1).to(at::kDouble));
  const at::Tensor spectrum = std::get<0>(at::linalg_eigh(before, "L"));
  const at::Tensor expected = spectrum / (spectrum + epsilon);
  EXPECT_TRUE(at::allclose(std::get<0>(at::linalg_eigh(after, "L")), expected, 1e-4, 1e-5));
  EXPECT_LT(input.flatten(1).mean(0).abs().max().item<double>(), 1e-5);
}

TEST(Zca, IsSymmetricAndUndoneByItsInverse) {
  const at::Tensor images = correlated();
  const Preprocessing fitted = fit_zca(images, 0.1);
  EXPECT_TRUE(at::allclose(fitted.zca_matrix(), fitted.zca_matrix().t(), 1e-5, 1e-6));
  const at::Tensor pixels = fitted.invert(fitted.apply(images, at::kCPU));
  EXPECT_TRUE(at::allclose(pixels, images.to(at::kFloat) / 255, 1e-5, 1e-5));
}

TEST(Zca, FitsFewerImagesThanPixels) {
  const Preprocessing fitted = fit_zca(correlated().narrow(0, 0, 5), 1e-3);
  EXPECT_TRUE(fitted.zca_matrix().isfinite().all().item<bool>());
  tests::expect_error<DataError>([] { fit_zca(correlated().narrow(0, 0, 1), 0.1); },
                                 {"ZCA", "1 training", "at least 2"});
}

TEST(Zca, IsTheSameForAnyNumberOfRowsAtATime) {
  // More rows than one chunk holds.
  const at::Tensor images = correlated().repeat({8, 1, 1, 1});
  const at::Tensor rows = images.flatten(1).to(at::kDouble) / 255;
  const auto [spectrum, basis] = at::linalg_eigh(covariance(rows), "L");
  const at::Tensor whole = at::mm(basis * (spectrum + 0.1).pow(-0.5), basis.t()).to(at::kFloat);
  EXPECT_TRUE(at::allclose(fit_zca(images, 0.1).zca_matrix(), whole, 1e-5, 1e-6));
}

TEST(Zca, IsTheSameOnAnyNumberOfThreads) {
  at::Tensor noise = at::empty({3000, 768}, at::kFloat);
  RandomStream(3, "test").fill_uniform(noise.data_ptr<float>(), noise.numel(), 0, 127);
  const at::Tensor images = (noise + noise.roll({1}, {1})).to(at::kByte).view({3000, 3, 16, 16});
  const auto fitted = [&](int threads, auto&& fit) {
    const ThreadScope scope(threads);
    return fit(images, 0.1);
  };
  for (const auto& fit : {fit_zca, fit_standardised_zca})
    for (const int threads : {2, 3, 4}) EXPECT_TRUE(same(fitted(threads, fit), fitted(1, fit)));
}

// One pixel of two channels, values 0 and 1 as byte 0 and 255: standardised they are -1 and 1.
at::Tensor two_channels(std::vector<uint8_t> values) {
  return at::tensor(values, at::kByte).view({-1, 2, 1, 1});
}

TEST(StandardisedZca, RidgeIsAShareOfTheMeanEigenvalueByHand) {
  // Uncorrelated channels, the second of a fifth of the first's deviation: covariance I, ridge 3,
  // so both come out as -1 / 2 and 1 / 2. The deviations divide by n.
  const at::Tensor images = two_channels({0, 0, 0, 51, 255, 0, 255, 51});
  const at::Tensor input = fit_standardised_zca(images, 3).apply(images, at::kCPU).view({4, 2});
  const at::Tensor wanted = at::tensor({-0.5f, -0.5f, -0.5f, 0.5f, 0.5f, -0.5f, 0.5f, 0.5f});
  EXPECT_TRUE(at::allclose(input.flatten(), wanted, 1e-5, 1e-6)) << input;
}

TEST(StandardisedZca, KeepsTheCommonPartOfEqualChannels) {
  // Covariance [[1, 1], [1, 1]]: eigenvalues 2 and 0 of mean 1; with a ridge of 2, (1, 1) / 2.
  const at::Tensor images = two_channels({0, 0, 255, 51, 0, 0, 255, 51});
  const at::Tensor input = fit_standardised_zca(images, 2).apply(images, at::kCPU).view({4, 2});
  EXPECT_TRUE(at::allclose(
      input, at::tensor({-0.5f, 0.5f, -0.5f, 0.5f}).unsqueeze(1).expand({4, 2}), 1e-5, 1e-6));
}

// What FRePo's own functions make of these images; see tests/golden/README.md.
TEST(StandardisedZca, IsFreposOwn) {
  for (const char* name : {"frepo_whitening", "frepo_whitening_of_few"}) {
    tests::Golden golden(name);
    const at::Tensor images =
        name == std::string("frepo_whitening") ? correlated() : correlated().narrow(0, 0, 12);
    golden.input("images", images);
    const Preprocessing fitted = fit_standardised_zca(images, 0.1);
    golden.answer("whitened", fitted.apply(images, at::kCPU), 1e-5);
    golden.answer(
        "restored",
        at::mm(fitted.apply(images, at::kCPU).flatten(1), fitted.zca_inverse()) + fitted.zca_mean(),
        1e-5);
  }
}

TEST(StandardisedZca, RefusesImagesThatAreAllAlike) {
  tests::expect_error<DataError>(
      [] {
        fit_standardised_zca(two_channels({9, 9, 9, 9}), 0.1);
      },
      {"all alike", "another normalisation"});
}

// 637 of 3072, by NumPy from the same files. With 0.1 added as it is to pixels in [0, 1], 129.
TEST(StandardisedZcaSlow, KeepsOverHalfOf637ComponentsOfCifar10) {
  RETORT_NEEDS_DATA();
  DataOptions options;
  options.data = (tests::real_data() / "cifar-10-batches-bin").string();
  options.normalisation = "none";
  const Dataset set = open_dataset(options);
  const Preprocessing fitted = fit_standardised_zca(set.train.images, 0.1);
  const at::Tensor deviation =
      at::tensor(measure(set.train.images).deviation, at::kDouble).repeat_interleave(1024);
  const at::Tensor whitening = deviation.unsqueeze(1) * fitted.zca_matrix().to(at::kDouble);
  // Eigenvalues (S + r)^-1/2 with r = 0.1 mean(S), so that mean(S + r) = 11 r.
  const at::Tensor lifted = at::linalg_eigvalsh((whitening + whitening.t()) / 2, "L").pow(-2);
  const at::Tensor ridge = lifted.mean() / 11;
  EXPECT_NEAR(lifted.gt(2 * ridge).sum().item<double>(), 637, 1);
}

TEST(StandardisedZca, IsChosenByItsName) {
  DataOptions options;
  options.normalisation = "standardised-zca";
  options.resolution = 8;
  const Dataset set = open_dataset(options);
  const Preprocessing wanted = fit_standardised_zca(set.train.images, 0.1);
  EXPECT_TRUE(same(set.preprocessing, wanted));
}

/// A cache with one fitted file in it.
class ZcaCache : public ::testing::Test {
 protected:
  Preprocessing fetch(const std::string& key = "k") {
    return cached_zca(images_, 0.1, false, key, folder_.path(), {&said_}, notes_);
  }
  std::filesystem::path file() const { return folder_ / "zca-k.safetensors"; }

  tests::TempFolder folder_;
  at::Tensor images_ = correlated();
  std::vector<std::string> notes_;
  std::ostringstream said_;
  Preprocessing fitted_ = fit_zca(images_, 0.1);
};

TEST_F(ZcaCache, WritesOnceAndReadsAfterwards) {
  EXPECT_TRUE(same(fetch(), fitted_));
  ASSERT_TRUE(std::filesystem::exists(file()));
  // Other images under the same key: what comes back was read, not fitted.
  images_ = at::zeros_like(images_);
  EXPECT_TRUE(same(fetch(), fitted_));
  EXPECT_FALSE(same(fetch("other"), fitted_));
  EXPECT_TRUE(notes_.empty());
}

TEST_F(ZcaCache, SaysThatItFitsAndNothingWhereItReads) {
  fetch();
  EXPECT_NE(said_.str().find("note: whitening: fitting 18 x 18 matrices to"), std::string::npos)
      << said_.str();
  said_.str("");
  fetch();
  EXPECT_EQ(said_.str(), "");
}

TEST_F(ZcaCache, MakesADamagedFileAnew) {
  fetch();
  const std::string whole = tests::read_text(file());
  std::string flipped = whole;
  flipped.back() ^= 1;
  for (const std::string& damaged : {whole.substr(0, whole.size() / 2), std::string(), flipped}) {
    tests::write_text(file(), damaged);
    EXPECT_TRUE(same(fetch(), fitted_));
    EXPECT_EQ(tests::read_text(file()), whole);
  }
}

TEST_F(ZcaCache, MakesAFileOfAnotherKeyOrSizeAnew) {
  fetch("other");
  std::filesystem::rename(folder_ / "zca-other.safetensors", file());
  EXPECT_TRUE(same(fetch(), fitted_));
  images_ = images_.narrow(2, 0, 2).contiguous();
  EXPECT_EQ(fetch().zca_mean().numel(), 12);
}

TEST_F(ZcaCache, NotesThatItCannotWrite) {
  tests::write_text(folder_ / "file", "in the way");
  const Preprocessing got = cached_zca(images_, 0.1, false, "k", folder_ / "file", {}, notes_);
  EXPECT_TRUE(same(got, fitted_));
  ASSERT_EQ(notes_.size(), 1u);
  EXPECT_NE(notes_[0].find("not cached"), std::string::npos);
}

}  // namespace
}  // namespace retort::data
