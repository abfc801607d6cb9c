// Labels of views: what is stored is what the teacher says, in as many bytes as were announced.
#include "teachers/soft_labels.h"

#include <gtest/gtest.h>

#include <cmath>

#include "retort/core/device.h"
#include "retort/core/error.h"
#include "retort/core/random.h"
#include "support/resealed.h"
#include "support/support.h"
#include "trajectories/small_experts.h"

namespace retort::teachers {
namespace {

using retort::tests::TempFolder;

/// A set of seven images, an untrained teacher, and a plan for three epochs of batches of four.
struct Setting {
  data::Dataset data = tests::small_data();
  LoadedTeacher teacher;
  std::unique_ptr<data::BatchSource> source;
  LabelPlan plan;

  Setting() {
    teacher.teacher.network = "convnet-w4-d2-bn";
    teacher.teacher.shape = {data.channels, data.height, data.width, data.classes()};
    teacher.network = teacher.teacher.build();
    teacher.theta = teacher.network->initial(RandomStream(1, "test.teacher"));
    teacher.state = teacher.network->initial_state();
    teacher.hash = "0123456789abcdef";
    const at::Tensor images = data.preprocessing.apply(data.train.images.narrow(0, 0, 7), at::kCPU);
    source = data::tensor_source(images, data.train.labels.narrow(0, 0, 7));
    plan.views.batch_size = 4;
    plan.seed = 5;
    plan.epochs = 3;
    plan.images = 7;
    plan.classes = data.classes();
    plan.images_hash = images_hash(images, data.train.labels.narrow(0, 0, 7));
    plan.teacher_hash = teacher.hash;
  }
  train::Views views() const { return train::Views(*source, plan.views, plan.seed); }
  bool write(const std::filesystem::path& path, const StopFlag* stop = nullptr) const {
    return write_labels(path, plan, views(), teacher, {}, stop);
  }
  /// The largest difference of what is stored from what the teacher says now, over all batches.
  double error(const std::filesystem::path& path, bool up_to_a_constant = false) const {
    const StoredLabels stored(path);
    double most = 0;
    for (int64_t block = 0; block < stored.blocks(); ++block) {
      const int64_t place = stored.place(block);
      const at::Tensor images = views().get(place / plan.batches(), place % plan.batches()).images;
      at::Tensor gap = stored.logits(block) - teacher.logits(images);
      if (up_to_a_constant) gap = gap - gap.mean(1, true);
      most = std::max(most, gap.abs().max().item<double>());
    }
    return most;
  }
};

TEST(SoftLabels, ComeBackBitForBit) {
  const TempFolder folder;
  const Setting setting;
  ASSERT_TRUE(setting.write(folder / "a"));
  EXPECT_EQ(StoredLabels(folder / "a").blocks(), 6);
  EXPECT_EQ(setting.error(folder / "a"), 0);
}

TEST(SoftLabels, ComeBackBitForBitOnOtherThreads) {
  const TempFolder folder;
  const Setting setting;
  {
    const ThreadScope threads(2);
    ASSERT_TRUE(setting.write(folder / "a"));
  }
  const ThreadScope threads(1);
  EXPECT_EQ(setting.error(folder / "a"), 0);
}

TEST(SoftLabels, OfSixteenBitsAreRoundedOnce) {
  const TempFolder folder;
  Setting setting;
  setting.plan.precision = "float16";
  ASSERT_TRUE(setting.write(folder / "a"));
  const StoredLabels stored(folder / "a");
  for (int64_t block = 0; block < stored.blocks(); ++block) {
    const int64_t place = stored.place(block);
    const at::Tensor live =
        setting.teacher.logits(setting.views().get(place / 2, place % 2).images);
    EXPECT_TRUE(stored.logits(block).equal(live.to(at::kHalf).to(at::kFloat)));
  }
}

TEST(SoftLabels, OfEightBitsAreWithinHalfAStep) {
  Setting setting;
  setting.plan.precision = "int8";
  setting.plan.classes = 5;
  const at::Tensor logits = at::tensor({3.0F, -1.0F, 0.5F, 7.0F, 2.0F}).view({1, 5});
  const std::string bytes = pack_labels(setting.plan, logits);
  ASSERT_EQ(bytes.size(), 4u + 5u);
  const at::Tensor back =
      unpack_labels(setting.plan, reinterpret_cast<const std::byte*>(bytes.data()), 1);
  const at::Tensor gap = back - (logits - 3.0);  // 3 is the middle of -1..7
  EXPECT_LE(gap.abs().max().item<double>(), 0.5 * 8 / 254 + 1e-6);
}

TEST(SoftLabels, TopKKeepsTheLargestAndTheMeanOfTheOthers) {
  Setting setting;
  setting.plan.precision = "float16";
  setting.plan.top_k = 2;
  setting.plan.classes = 5;
  const at::Tensor logits = at::tensor({3.0F, -1.0F, 0.5F, 7.0F, 2.0F}).view({1, 5});
  const std::string bytes = pack_labels(setting.plan, logits);
  ASSERT_EQ(static_cast<int64_t>(bytes.size()), setting.plan.row_bytes());
  const at::Tensor back =
      unpack_labels(setting.plan, reinterpret_cast<const std::byte*>(bytes.data()), 1);
  EXPECT_TRUE(back.equal(at::tensor({3.0F, 0.5F, 0.5F, 7.0F, 0.5F}).view({1, 5})));
}

TEST(SoftLabels, TakeTheBytesThatWereAnnounced) {
  const TempFolder folder;
  Setting setting;
  const std::vector<std::pair<std::string, double>> kinds{
      {"float32", 1}, {"float16", 1}, {"int8", 1}, {"float32", 0.5}};
  for (size_t i = 0; i < kinds.size(); ++i) {
    setting.plan.precision = kinds[i].first;
    setting.plan.keep = kinds[i].second;
    const auto path = folder / std::to_string(i);
    ASSERT_TRUE(setting.write(path));
    EXPECT_EQ(static_cast<int64_t>(std::filesystem::file_size(path)), label_bytes(setting.plan));
    EXPECT_EQ(StoredLabels(path).bytes(), label_bytes(setting.plan));
  }
}

TEST(SoftLabels, PrunedBatchesKeepTheirViewsAndAreUsedInTurn) {
  const TempFolder folder;
  Setting setting;
  setting.plan.keep = 0.5;
  ASSERT_TRUE(setting.write(folder / "a"));
  const StoredLabels stored(folder / "a");
  ASSERT_EQ(stored.blocks(), 3);
  EXPECT_EQ(setting.error(folder / "a"), 0);
  const train::Views views = setting.views();
  BatchStreamSetting lesson{views};
  lesson.labels = Labels::kStored;
  lesson.stored = &stored;
  const auto batch_stream = make_batch_stream(lesson);
  // Step 4 of the training, epoch 2 and batch 0, is block 1 again.
  const int64_t place = stored.place(1);
  EXPECT_TRUE(batch_stream->get(2, 0).images.equal(views.get(place / 2, place % 2).images));
  EXPECT_TRUE(batch_stream->get(2, 0).targets.values.equal(stored.logits(1)));
}

TEST(SoftLabels, AStoppedFileGoesOnToTheSameBytes) {
  const TempFolder folder;
  const Setting setting;
  ASSERT_TRUE(setting.write(folder / "straight"));
  const std::string whole = retort::tests::read_text(folder / "straight");
  // As a kill may leave it: within the header, within a batch, after one.
  for (const size_t left : {size_t{10}, whole.size() - 5, whole.size() - 3 * 4 * 10}) {
    retort::tests::write_text(folder / "again.partial", whole.substr(0, left));
    ASSERT_TRUE(setting.write(folder / "again"));
    EXPECT_EQ(retort::tests::read_text(folder / "again"), whole);
    EXPECT_FALSE(std::filesystem::exists(folder / "again.partial"));
  }
  StopFlag stop;
  stop.request();
  EXPECT_FALSE(setting.write(folder / "stopped", &stop));
  ASSERT_TRUE(setting.write(folder / "stopped"));
  EXPECT_EQ(retort::tests::read_text(folder / "stopped"), whole);
}

TEST(SoftLabels, APartialFileOfAnotherPlanIsRefused) {
  const TempFolder folder;
  Setting setting;
  StopFlag stop;
  stop.request();
  setting.write(folder / "a", &stop);
  setting.plan.seed = 6;
  retort::tests::expect_error<StateError>([&] { setting.write(folder / "a"); },
                                          {"other images", "begin anew"});
}

TEST(SoftLabels, DamagedFilesAreRefused) {
  const TempFolder folder;
  const Setting setting;
  ASSERT_TRUE(setting.write(folder / "a"));
  std::string bytes = retort::tests::read_text(folder / "a");
  retort::tests::write_text(folder / "short", bytes.substr(0, bytes.size() - 9));
  EXPECT_THROW(StoredLabels(folder / "short"), DataError);
  bytes.replace(bytes.find("\"epochs\":\"3\""), 12, "\"epochs\":\"4\"");
  retort::tests::write_text(folder / "longer", retort::tests::resealed(bytes));
  retort::tests::expect_error<DataError>([&] { StoredLabels(folder / "longer"); },
                                         {"other labels than its metadata say"});
}

TEST(SoftLabels, AFlippedByteIsNamed) {
  const TempFolder folder;
  const Setting setting;
  ASSERT_TRUE(setting.write(folder / "a"));
  const std::string whole = retort::tests::read_text(folder / "a");
  const auto read_all = [](const std::filesystem::path& path) {
    const StoredLabels stored(path);
    for (int64_t block = 0; block < stored.blocks(); ++block) stored.logits(block);
  };
  for (size_t i = 0; i < whole.size(); i += 3) {
    std::string flipped = whole;
    flipped[i] ^= 32;
    retort::tests::write_text(folder / "b", flipped);
    EXPECT_THROW(read_all(folder / "b"), Error) << "byte " << i;
  }
  std::string flipped = whole;
  flipped.back() ^= 1;
  retort::tests::write_text(folder / "b", flipped);
  retort::tests::expect_error<DataError>([&] { read_all(folder / "b"); },
                                         {"/b'", "the file is damaged: batch 5 is not as"});
}

TEST(SoftLabels, APartialFileIsGoneOnWithFromItsFirstDamage) {
  const TempFolder folder;
  const Setting setting;
  ASSERT_TRUE(setting.write(folder / "straight"));
  const std::string whole = retort::tests::read_text(folder / "straight");
  const size_t start = whole.size() - 3 * 7 * 4 * static_cast<size_t>(setting.plan.classes);
  for (size_t i = start - 6 * 8; i + 100 < whole.size(); i += 37) {
    std::string flipped = whole;  // with its seal, as a kill before the last renaming leaves it
    flipped[i] ^= 4;
    retort::tests::write_text(folder / "a.partial", flipped);
    ASSERT_TRUE(setting.write(folder / "a"));
    EXPECT_EQ(retort::tests::read_text(folder / "a"), whole) << "byte " << i;
  }
}

TEST(SoftLabels, RefusesSettingsThatDoNotFit) {
  Setting setting;
  setting.plan.top_k = 2;
  retort::tests::expect_error<ConfigError>([&] { check_plan(setting.plan); }, {"--top-k"});
  setting.plan.precision = "float16";
  setting.plan.top_k = setting.plan.classes;
  retort::tests::expect_error<ConfigError>([&] { check_plan(setting.plan); }, {"--top-k"});
  setting.plan.top_k = 0;
  setting.plan.keep = 0;
  retort::tests::expect_error<ConfigError>([&] { check_plan(setting.plan); }, {"--keep"});
}

TEST(BatchStream, OfStoredAndOfLiveLabelsAreTheSame) {
  const TempFolder folder;
  const Setting setting;
  ASSERT_TRUE(setting.write(folder / "a"));
  const StoredLabels stored(folder / "a");
  const train::Views views = setting.views();
  BatchStreamSetting lesson{views};
  lesson.teacher = &setting.teacher;
  lesson.stored = &stored;
  lesson.labels = Labels::kStored;
  const auto kept = make_batch_stream(lesson);
  lesson.labels = Labels::kLive;
  const auto live = make_batch_stream(lesson);
  train::TrainOptions options;
  options.optimizer = "adamw";
  options.epochs = 3;
  options.schedule = "slow_cosine";
  options.average_decay = 0.9;
  options.decay_weights_only = true;
  const auto student = [&](const train::BatchStream& batch_stream) {
    train::Student one{setting.source.get(), 0};
    one.batch_stream = &batch_stream;
    return train::train(*setting.teacher.network, one, options, {3, "test", 0}, at::kCPU);
  };
  const train::ModelState a = student(*kept), b = student(*live);
  EXPECT_TRUE(a.theta.equal(b.theta));
  EXPECT_TRUE(a.average_theta.equal(b.average_theta));
  EXPECT_FALSE(a.theta.equal(a.average_theta));
}

TEST(BatchStream, HardLabelsAreTheMixedClasses) {
  const Setting setting;
  const train::Views views = setting.views();
  BatchStreamSetting lesson{views};
  lesson.classes = setting.data.classes();
  const train::LabelledBatch one = make_batch_stream(lesson)->get(0, 0);
  EXPECT_TRUE(at::allclose(one.targets.values.sum(1), at::ones({4})));
  EXPECT_EQ(one.targets.values.size(1), setting.data.classes());
}

}  // namespace
}  // namespace retort::teachers
