// The list of methods. A new method is one line here.
#include "methods/decoupled/decoupled.h"
#include "methods/gradient/dc.h"
#include "methods/kernel/kernel.h"
#include "methods/matching/dm.h"
#include "methods/matching/matching.h"
#include "methods/selection/selection.h"
#include "methods/trajectory/trajectory.h"
#include "methods/unrolled/unrolled.h"
#include "retort/methods/method.h"

namespace retort::methods {

const std::vector<MethodEntry>& method_table() {
  static const std::vector<MethodEntry> kTable{
      {"random", "real images drawn at random from each class", "", make_random},
      {"herding", "real images whose running feature mean follows the class mean",
       "Welling, ICML 2009; Rebuffi et al., CVPR 2017", make_herding},
      {"kcenter", "real images that cover the class: farthest first in feature space",
       "Sener and Savarese, ICLR 2018", make_kcenter},
      {"forgetting", "real images that a network in training forgets most often",
       "Toneva et al., ICLR 2019", make_forgetting},
      {"dc", "gradient matching: every class's gradient at networks trained on the set",
       "Zhao, Mopuri and Bilen, ICLR 2021", make_dc},
      {"dsa", "gradient matching with differentiable siamese augmentation",
       "Zhao and Bilen, ICML 2021", make_dsa},
      {"dm", "distribution matching: class means of random networks' features",
       "Zhao and Bilen, WACV 2023", make_dm},
      {"ncfm",
       "characteristic functions of features of networks in training, compared where they differ "
       "most",
       "Wang et al., CVPR 2025", make_ncfm},
      {"tgdd",
       "class means of features along experts' trajectories, and the experts' cross-entropy",
       "Ran et al., AAAI 2026", make_tgdd},
      {"infmatch", "features and last-layer gradients matched along experts' trajectories",
       "Tan et al., CVPR 2026", make_infmatch},
      {"cafe",
       "class means of every layer, real features told apart by them, and a schedule that follows "
       "the network",
       "Wang et al., CVPR 2022", make_cafe},
      {"mtt", "matching training trajectories: N steps on the set land where an expert did",
       "Cazenavette et al., CVPR 2022", make_mtt},
      {"ftd", "flat trajectory distillation: mtt with flat experts and a moving average",
       "Du et al., CVPR 2023", make_ftd},
      {"tesla", "trajectory matching with large minibatches and teachers' labels",
       "Cui et al., ICML 2023", make_tesla},
      {"datm", "difficulty-aligned trajectory matching with learned soft labels",
       "Guo et al., ICLR 2024", make_datm},
      {"dd", "back-propagation through ordered steps, each with a learned rate",
       "Wang et al., 2018", make_dd},
      {"bptt",
       "back-propagation through training with momentum, whole or truncated; with memories: "
       "Remember the Past",
       "Deng and Russakovsky, NeurIPS 2022; Feng et al., ICLR 2024", make_bptt},
      {"frepo", "regression on the features of a pool of networks, with learned labels",
       "Zhou, Nezhadarya and Ba, NeurIPS 2022", make_frepo},
      {"sre2l", "images recovered from a teacher's BatchNorm statistics and its loss",
       "Yin, Xing and Shen, NeurIPS 2023", make_sre2l},
      {"cda", "sre2l with crops that shrink from the whole image", "Yin and Shen, TMLR 2024",
       make_cda},
      {"scdd", "sre2l from a self-supervised teacher with a linear probe",
       "Zhou, Yin, Shao and Shen, 2024", make_scdd},
      {"rded", "mosaics of the real patches that a teacher knows best", "Sun et al., CVPR 2024",
       make_rded},
      {"cim", "mosaics restored to the features of the real images that a teacher knows best",
       "ECCV 2026", make_cim},
      {"kip", "regression with the tangent kernel of an infinitely wide network",
       "Nguyen, Chen and Lee, ICLR 2021", make_kip},
  };
  return kTable;
}

}  // namespace retort::methods
