"""The lecture's line of thought and what a study of this size can say of it, in both languages."""

from experiments.claims.words import Text

# The line of thought, a paragraph each; the four answers between are a list.
THOUGHT = (
    Text(
        "Networks for classification, from LeNet-5 to ResNet, go from a fine map to a coarse one. "
        "For one label an image that is right: not every detail counts, fewer cells cost less and "
        "each sees more of the image, and pooling keeps what answered strongest.",
        "LeNet-5부터 ResNet까지 분류 네트워크는 고해상도 특징 맵에서 저해상도 특징 맵으로 "
        "내려간다. 이미지마다 레이블이 하나라면 합당한 설계이다. 세부 정보가 모두 필요하지는 않고, "
        "위치의 수가 줄면 계산량이 줄면서 수용 영역은 넓어지며, 풀링은 가장 강한 반응을 남긴다.",
    ),
    Text(
        "Semantic segmentation wants a label at every pixel, so it has to know where as well as "
        "what, and what a coarse map has lost it cannot put back in its place. Three answers came "
        "before HRNet, and HRNet is the fourth.",
        "시맨틱 분할은 픽셀마다 레이블이 필요하므로 무엇인지와 함께 어디인지도 알아야 하는데, "
        "저해상도 특징 맵이 잃은 것은 제자리에 되돌릴 수 없다. HRNet 이전에 세 가지 답이 있었고, "
        "HRNet은 네 번째 답이다.",
    ),
)
ANSWERS = (
    Text(
        "Down and up again: DeconvNet, SegNet, U-Net. The way up unpools by learned deconvolution, "
        "by remembered positions of maxima, or takes the maps of the way down across. The "
        "lecture's objection: it starts from a coarse and sparse map.",
        "내려갔다가 다시 올라오기: DeconvNet, SegNet, U-Net. 올라올 때 학습된 디컨볼루션을 쓰거나, "
        "최댓값의 위치를 기억해 언풀링하거나, 내려올 때의 특징 맵을 건네받는다. 강의의 비판: "
        "올라오기가 희소한 저해상도 맵에서 시작한다.",
    ),
    Text(
        "Stop going down: DilatedNet, DeepLab. They leave out the last poolings, widen the field "
        "with dilated convolution instead and stay at 1/8. They differ in how they return to the "
        "image's size: by transposed convolution or by bilinear interpolation.",
        "덜 내려가기: DilatedNet, DeepLab. 마지막 풀링들을 없애고 대신 팽창 합성곱으로 수용 "
        "영역을 넓히며 1/8에 머문다. 이미지 크기로 돌아오는 방법은 전치 합성곱과 쌍선형 보간으로 "
        "서로 다르다.",
    ),
    Text(
        "Both at once: DeepLabv3+. Strided depthwise separable convolutions take the place of "
        "pooling, dilation keeps the field wide, and a decoder takes a fine, low-level map across "
        "to restore what going down lost.",
        "둘을 함께: DeepLabv3+. 풀링 대신 스트라이드 깊이별 분리 합성곱을 쓰고, 팽창으로 수용 "
        "영역을 넓게 유지하며, 디코더가 저수준의 고해상도 특징 맵을 스킵 연결로 받아 내려오며 "
        "잃은 것을 되살린다.",
    ),
    Text(
        "Never leave: HRNet. Two strided convolutions lead to 1/4, and a stream stays there to the "
        "end. Beside it run streams of half the resolution and twice the channels each, and again "
        "and again every stream receives every other: down by strided 3x3 convolutions, up by 1x1 "
        "convolution and bilinear interpolation, summed. V1 uses the finest stream alone, V2 "
        "concatenates all of them.",
        "아예 떠나지 않기: HRNet. 스트라이드 합성곱 두 번으로 1/4에 이른 뒤 스트림 하나가 끝까지 "
        "그 해상도에 머문다. 그 옆으로 해상도는 절반, 채널은 두 배인 스트림들이 병렬로 흐르고, "
        "모든 스트림이 서로를 거듭 받아들인다. 내려갈 때는 스트라이드 3x3 합성곱, 올라올 때는 1x1 "
        "합성곱과 쌍선형 보간을 쓰며 합은 덧셈이다. V1은 가장 높은 해상도의 스트림만 쓰고, V2는 "
        "모두 연결한다.",
    ),
)
AFTER = Text(
    "From this the lecture concludes that HRNet needs less work for a better map. Each step of "
    "that thought is a claim that can be measured; the nine above are these steps.",
    "강의는 이로부터 HRNet이 더 적은 연산으로 더 나은 결과를 낸다고 결론짓는다. 이 생각의 각 "
    "단계는 측정할 수 있는 주장이며, 위의 아홉 가지가 그것이다.",
)

SCALE = Text(
    "What this scale can say, and what not. The networks have about {gmacs} GMACs and are trained "
    "from scratch on the 367 training images of CamVid, in crops of about 1/9 of an image, for 50 "
    "passes. A difference that is found here is a fact about small networks with little data "
    "and a short schedule: what pays first under these conditions. It neither confirms nor refutes "
    "the paper's numbers, which belong to networks of 65.9 million parameters that start from "
    "ImageNet weights and learn from Cityscapes at 1024x2048. What needs large images, long "
    "training or pretraining to show cannot show here, and a difference that is clear here may "
    "vanish where all networks have converged. A claim that cannot be told here is not refuted.",
    "이 규모로 말할 수 있는 것과 없는 것. 네트워크는 약 {gmacs} GMACs이며, CamVid의 학습 이미지 "
    "367장으로 사전 학습 없이, 이미지 면적의 약 1/9인 크롭으로 50번 반복해 학습한다. 여기서 "
    "발견된 차이는 작은 네트워크, 적은 데이터, 짧은 일정에 관한 사실, 곧 이런 조건에서 먼저 "
    "효과를 내는 것이 무엇인지에 관한 사실이다. 논문의 수치를 확인하지도 반박하지도 않는다. 논문의 "
    "네트워크는 파라미터가 65.9M개이고 ImageNet 가중치에서 출발해 1024x2048의 Cityscapes로 "
    "학습한다. 큰 이미지, 긴 학습, 사전 학습이 있어야 드러나는 것은 여기서 드러날 수 없고, 여기서 "
    "분명한 차이도 모든 네트워크가 수렴한 뒤에는 사라질 수 있다. 여기서 판단할 수 없는 주장이 "
    "반박된 것은 아니다.",
)
