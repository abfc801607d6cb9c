// FKD folders: files that torch.save wrote, the order of PyTorch's sampler, and what is refused.
#include "teachers/fkd.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "core/sizes.h"
#include "retort/core/error.h"
#include "retort/core/random.h"
#include "support/support.h"

namespace retort::teachers {
namespace {

namespace fs = std::filesystem;

fs::path golden(const std::string& name) {
  return fs::path(RETORT_SOURCE_DIR) / "tests" / "golden" / name;
}

/// Logits that see the given classes.
at::Tensor seeing(const at::Tensor& classes, int64_t count) {
  return at::one_hot(classes, count).to(at::kFloat) * 6;
}

/// Twelve images of three classes, batches of five, three epochs.
struct Folder {
  tests::TempFolder place;
  at::Tensor images, labels = at::arange(12, at::kLong).floor_divide(4);

  explicit Folder(bool twice = true) {
    images = at::empty({12, 1, 8, 8});
    RandomStream(0, "test.images").fill_uniform(images.data_ptr<float>(), images.numel(), 0, 1);
    const at::Tensor orders = torch_orders(FkdLabels::kSeed, 12, 3, twice);
    for (int64_t epoch = 0; epoch < 3; ++epoch)
      for (int64_t b = 0; b < 3; ++b) write(epoch, b, orders[epoch].slice(0, 5 * b, 5 * b + 5));
  }
  fs::path file(int64_t epoch, int64_t batch) const {
    return place.path() / fmt::format("epoch_{}", epoch) / fmt::format("batch_{}.tar", batch);
  }
  void write(int64_t epoch, int64_t batch, const at::Tensor& rows) const {
    FkdBatch views;
    RandomStream stream(7, "test.views", static_cast<uint64_t>(epoch),
                        static_cast<uint64_t>(batch));
    for (int64_t i = 0; i < rows.size(0); ++i) {
      views.crops.push_back(augment::draw_crop(8, 8, 0.2, 1, 4.0 / 3, stream));
      views.crops.back().flip = i % 2 == 0;
    }
    views.mix = augment::draw_mix(augment::Mix::Kind::kCut, 1, rows.size(0), 8, 8, stream);
    views.logits = seeing(labels.index_select(0, rows), 3);
    write_fkd_batch(file(epoch, batch), views, 8, 8);
  }
  FkdLabels open() const { return {place.path(), images, labels, 3}; }
};

TEST(Fkd, OrdersImagesAsPyTorchsSamplerDoes) {
  // list(RandomSampler(range(10), generator=seeded with 42)), twice, by PyTorch 1.13 and 2.13.
  const at::Tensor expected = at::tensor({2, 6, 1, 8, 4, 5, 0, 9, 3, 7,  //
                                          7, 5, 0, 3, 1, 6, 9, 8, 4, 2},
                                         at::kLong)
                                  .view({2, 10});
  EXPECT_TRUE(torch_orders(42, 10, 2).equal(expected));
  EXPECT_TRUE(torch_orders(42, 10, 1, false).equal(expected.slice(0, 0, 1)));
}

TEST(Fkd, ReadsWhatTorchSavedWithNumbersOfNumpy) {
  for (const char* name : {"fkd_cutmix_numpy1.tar", "fkd_cutmix_numpy2.tar"}) {
    const FkdBatch batch = read_fkd_batch(golden(name), 8, 8);
    ASSERT_EQ(batch.size(), 4) << name;
    const augment::Crop& first = batch.crops[0];  // 0.25, 0.125, 0.5, 0.75 of 8 pixels
    EXPECT_EQ(first.top, 2);
    EXPECT_EQ(first.left, 1);
    EXPECT_EQ(first.height, 4);
    EXPECT_EQ(first.width, 6);
    EXPECT_TRUE(first.flip);
    EXPECT_FALSE(batch.crops[1].flip);
    EXPECT_EQ(batch.mix.kind, augment::Mix::Kind::kCut);
    EXPECT_EQ(batch.mix.partners, (std::vector<int64_t>{2, 0, 3, 1}));
    // The box 0, 2, 5, 8: rows 0 to 5, columns 2 to 8.
    EXPECT_EQ(batch.mix.top, 0);
    EXPECT_EQ(batch.mix.left, 2);
    EXPECT_EQ(batch.mix.bottom, 5);
    EXPECT_EQ(batch.mix.right, 8);
    EXPECT_EQ(batch.logits.scalar_type(), at::kHalf);
    EXPECT_EQ(batch.logits[1][1].item<float>(), 3);
  }
  const FkdBatch plain = read_fkd_batch(golden("fkd_plain.tar"), 8, 8);
  EXPECT_EQ(plain.mix.kind, augment::Mix::Kind::kNone);
  EXPECT_EQ(plain.logits.scalar_type(), at::kFloat);
}

TEST(Fkd, ShowsACropMirroredAndTheBoxOfThePartner) {
  FkdBatch batch;
  batch.crops = {augment::whole_image(2, 2), augment::whole_image(2, 2)};
  batch.crops[1].flip = true;
  batch.mix.kind = augment::Mix::Kind::kCut;
  batch.mix.partners = {1, 0};
  batch.mix.bottom = 1;  // the upper row
  batch.mix.right = 2;
  const at::Tensor images = at::arange(8, at::kFloat).view({2, 1, 2, 2});
  // [0 1; 2 3] and, mirrored, [5 4; 7 6] give each other their upper rows.
  const at::Tensor expected = at::tensor({5, 4, 2, 3, 0, 1, 7, 6}, at::kFloat).view({2, 1, 2, 2});
  EXPECT_TRUE(fkd_views(images, batch).allclose(expected));
}

TEST(Fkd, ReadsBackWhatItWrote) {
  const Folder folder;
  const FkdLabels labels = folder.open();
  EXPECT_EQ(labels.epochs(), 3);
  EXPECT_EQ(labels.batches(), 3);
  EXPECT_EQ(labels.batch_size(), 5);
  EXPECT_EQ(labels.agreement(), 1);
  const at::Tensor orders = torch_orders(FkdLabels::kSeed, 12, 3);
  const std::vector<int64_t> rows = labels.rows(2, 2);
  EXPECT_TRUE(at::tensor(rows, at::kLong).equal(orders[2].slice(0, 10)));
  const FkdBatch batch = labels.read(2, 2);
  ASSERT_EQ(batch.size(), 2);
  EXPECT_TRUE(batch.logits.equal(seeing(folder.labels.index_select(0, at::tensor(rows)), 3)));
  RandomStream stream(7, "test.views", 2, 2);
  EXPECT_EQ(batch.crops[0].width, augment::draw_crop(8, 8, 0.2, 1, 4.0 / 3, stream).width);
}

TEST(Fkd, FindsOutHowTheSamplerDrewItsOrders) {
  const Folder folder(false);
  const FkdLabels labels = folder.open();
  EXPECT_EQ(labels.agreement(), 1);
  const at::Tensor orders = torch_orders(FkdLabels::kSeed, 12, 3, false);
  EXPECT_TRUE(at::tensor(labels.rows(2, 0), at::kLong).equal(orders[2].slice(0, 0, 5)));
}

TEST(Fkd, TrainsOnTheViewsThatTheFilesName) {
  const Folder folder;
  const FkdLabels labels = folder.open();
  const auto source = data::tensor_source(folder.images, folder.labels);
  const auto stream = make_fkd_stream(*source, labels, 4, false);
  EXPECT_EQ(stream->batches(), 3);
  const train::LabelledBatch batch = stream->get(4, 1);  // of the second epoch again
  const at::Tensor rows = at::tensor(labels.rows(1, 1), at::kLong);
  const at::Tensor images = fkd_views(folder.images.index_select(0, rows), labels.read(1, 1));
  EXPECT_TRUE(batch.images.equal(images));
}

TEST(Fkd, RefusesLabelsOfOtherImages) {
  const Folder folder;
  tests::expect_error<StateError>(
      [&] { FkdLabels(folder.place.path(), folder.images.slice(0, 1), folder.labels, 3); },
      {"they are of 12 images and 3 classes", "11 images"});
  const at::Tensor moved = (folder.labels + 1).remainder(3);
  Folder alone;
  for (int64_t epoch = 0; epoch < 3; ++epoch)
    for (int64_t b = 0; b < 3; ++b) {
      FkdBatch batch = read_fkd_batch(alone.file(epoch, b), 8, 8);
      batch.mix = {};
      write_fkd_batch(alone.file(epoch, b), batch, 8, 8);
    }
  tests::expect_error<StateError>([&] { FkdLabels(alone.place.path(), alone.images, moved, 3); },
                                  {"the teacher sees one of the classes", "66.7 % by chance"});
}

TEST(Fkd, RefusesWhatIsMissingOrDamaged) {
  const Folder folder;
  fs::remove(folder.file(1, 1));
  tests::expect_error<DataError>([&] { folder.open(); }, {"epoch_1 has no batch_1.tar"});
  const Folder other;
  tests::write_text(other.file(0, 0), "no torch file");
  EXPECT_THROW(other.open(), DataError);
  const tests::TempFolder empty;
  tests::expect_error<DataError>([&] { FkdLabels(empty.path(), folder.images, folder.labels, 3); },
                                 {"it has no folder epoch_0"});
  const Folder longer;
  FkdBatch batch = read_fkd_batch(longer.file(2, 0), 8, 8);
  batch.logits = at::zeros({5, 4});
  write_fkd_batch(longer.file(2, 0), batch, 8, 8);
  const FkdLabels labels = longer.open();
  tests::expect_error<DataError>([&] { labels.read(2, 0); }, {"5 images and 4 classes"});
}

}  // namespace
}  // namespace retort::teachers
