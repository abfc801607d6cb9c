// SRe2L, CDA and SC-DD differ in their settings and in the teacher that they want; RDED is no
// descent at all.
#include "methods/decoupled/decoupled.h"

#include "methods/decoupled/recovery.h"
#include "retort/core/error.h"

namespace retort::methods {
namespace {

/// What all three do differently from the reference codes; a method adds its own.
std::vector<std::string> recovery_deviations(std::vector<std::string> own = {}) {
  std::vector<std::string> all = {
      "Images stay 32-bit numbers; the reference code truncates them to 8 bits and stores JPEG "
      "files.",
      "The regularisers of total variation and of norms, whose weights are 0 in every published "
      "command, are left out.",
      "All images move at once, step by step, in place of one group after the other: no group "
      "depends on another."};
  all.insert(all.end(), own.begin(), own.end());
  return all;
}

LoopDefaults recovery_defaults() {
  return {.iterations = 4000,
          .image_learning_rate = 0.25,
          .image_momentum = 0.5,
          .initialisation = "noise",
          .network = "resnet18-bn",
          .protocol = "sre2l",
          .augmentation = "none",
          .image_optimiser = "adam",
          .image_schedule = "cosine",
          .image_beta2 = 0.9,
          .clamp_pixels = true};
}

LoopDefaults scdd_defaults() {
  LoopDefaults defaults = recovery_defaults();
  defaults.iterations = 1000;
  defaults.image_learning_rate = 0.1;
  defaults.protocol = "scdd";
  return defaults;
}

class Scdd : public MethodOf<RecoveryOptions, Recovery> {
 public:
  using MethodOf::MethodOf;
  std::unique_ptr<Objective> objective(const Context& context) override {
    if (!options_.teacher.empty() &&
        teachers::read_teacher(options_.teacher).objective == "supervised")
      throw ConfigError(ErrorMessage{
          "preparing 'scdd'", "the teacher '" + options_.teacher + "' was trained with labels",
          "a self-supervised or imported one",
          "`retort squeeze --objective moco` trains one; or use --method "
          "sre2l"});
    return MethodOf::objective(context);
  }
};

class Mosaics : public Selector {
 public:
  Mosaics(const Context& context, const std::string& teacher, const PatchOptions& options)
      : context_(context),
        options_(options),
        teacher_(
            teachers::open_teacher(teacher, "preparing 'rded'", context.data, context.device)) {
    check_patches(context, options);
  }
  at::Tensor compose() override { return compose_patches(context_, teacher_, options_); }

 private:
  const Context context_;
  const PatchOptions options_;
  const teachers::LoadedTeacher teacher_;
};

class Rded : public Method {
 public:
  void declare(OptionSet& set) override {
    set.add("teacher", teacher_, "file of the teacher; `retort squeeze` makes one", {},
            Role::kExecution);
    options_.declare(set);
  }
  LoopDefaults defaults() const override {
    return {.iterations = 0,
            .initialisation = "real",
            .network = "resnet18-bn",
            .protocol = "rded",
            .augmentation = "none"};
  }
  std::vector<std::string> deviations() const override {
    return {
        "Labels are those of whole views, as in the published code; the paper's labels of regions "
        "are not there.",
        "Patches are cut from the images at the resolution that they were read at; the reference "
        "cuts them from the files.",
        "Images are normalised as the data set is; the reference takes ImageNet's mean and "
        "deviation for all, and so do its recipes.",
        "A student sees a batch once; the reference's passes it through BatchNorm a second time, "
        "without a step.",
        "Reported are the students at the end, their averages, and the epoch that is best on a "
        "validation part; the reference reports the best of the last fifth on the test set."};
  }
  std::unique_ptr<Selector> selector(const Context& context) override {
    return std::make_unique<Mosaics>(context, teacher_, options_);
  }

 private:
  std::string teacher_;
  PatchOptions options_;
};

}  // namespace

std::unique_ptr<Method> make_sre2l() {
  return std::make_unique<MethodOf<RecoveryOptions, Recovery>>(
      recovery_defaults(),
      recovery_deviations(
          {"The published post-training of ImageNet-1K lets every batch of 1,024 pass in two "
           "halves, "
           "so that the student's BatchNorm sees 512 images; here it sees the batch."}));
}
std::unique_ptr<Method> make_cda() {
  RecoveryOptions options;
  options.crop_schedule = "cosine";
  return std::make_unique<MethodOf<RecoveryOptions, Recovery>>(recovery_defaults(),
                                                               recovery_deviations(), options);
}
std::unique_ptr<Method> make_scdd() {
  return std::make_unique<Scdd>(
      scdd_defaults(),
      recovery_deviations(
          {"The published ImageNet code labels its images with a supervised teacher; here `retort "
           "relabel` uses the teacher that it is given.",
           "The last layer of a teacher of `retort squeeze` is trained by AdamW at 1e-3 for 20 "
           "epochs "
           "on features of whole images; the authors' by SGD at 30 for 100 epochs, x0.1 at 60 and "
           "80, "
           "on features of cropped and mirrored ones.",
           "SimSiam's projector has two layers, the last norm with scale and shift, and its "
           "predictor's rate falls as the others do; in its authors' code three layers, no scale "
           "and "
           "shift, and a constant rate.",
           "One mean and deviation serve recovery and post-training; the published CIFAR-100 code "
           "normalises for post-training with other numbers than for recovery."}));
}
std::unique_ptr<Method> make_rded() {
  return std::make_unique<Rded>();
}

}  // namespace retort::methods
