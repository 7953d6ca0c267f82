"""Questions and passages that have nothing to do with each other, to learn what a model calls unrelated.

No passage answers any of the questions or is about its subject. Half of each are English, half Chinese, so that pairs
of one language and of two are there in equal numbers. Changing a text changes what was measured with it.
"""

QUESTIONS = (
    "How many days of notice must a tenant give before moving out?",
    "Which spare fuse fits the control cabinet of the milling machine?",
    "Who approves travel expenses above two thousand euros?",
    "What is the melting point of tin?",
    "When did the harbour authority raise the mooring fees?",
    "Does the warranty cover damage from frost?",
    "Which vaccine does a traveller to Ghana need?",
    "How is the quorum of the shareholders' meeting determined?",
    "What torque do the wheel bolts of the trailer need?",
    "Is interest on the bridge loan tax deductible?",
    "How often are the fire extinguishers inspected?",
    "Which court decides disputes between the carriers?",
    "试用期员工可以请几天病假？",
    "这台空压机多久需要更换一次机油？",
    "合同到期后保证金什么时候退还？",
    "进口红酒的关税税率是多少？",
    "谁负责审核供应商的资质？",
    "锅炉压力超过多少会自动报警？",
    "如何申请延长专利保护期？",
    "公司章程规定董事会每年召开几次？",
    "数据库备份保存在哪个服务器上？",
    "高血压患者可以服用这种感冒药吗？",
    "迟延交货的违约金怎样计算？",
    "新员工的入职培训由哪个部门组织？",
)

PASSAGES = (
    "The heron stood in the reeds until dusk and then flew slowly across the marsh towards the poplars.",
    "Knead the dough for ten minutes, cover it with a damp cloth and let it rise until it has doubled in size.",
    "The second movement begins with a solo for the oboe, which the strings answer in a minor key.",
    "Glaciers carve valleys with a broad floor and steep sides, while rivers leave them narrow.",
    "In the final over the batsman hit two sixes, and the visitors won the match by three wickets.",
    "The novel follows three sisters who inherit a lighthouse and quarrel about what to do with it.",
    "Bees tell each other where flowers are by a dance whose angle points to the sun.",
    "The fresco shows a hunting party with hounds, painted in ochre and lapis on wet plaster.",
    "Light from the galaxy took eleven million years to reach the telescope on the mountain.",
    "She planted tulips along the wall, and crocuses under the old pear tree.",
    "The dialect drops the final vowel and lengthens the one before it.",
    "Chess players call it a fork when one piece attacks two others at the same time.",
    "清晨的山谷里雾气弥漫，远处传来几声布谷鸟的叫声。",
    "把豆腐切成小块，放入热油中煎至两面金黄，再撒上葱花。",
    "这幅水墨画用淡墨渲染远山，近处的松树则用焦墨勾勒。",
    "候鸟在秋天沿着海岸线向南飞行，中途在湿地停歇觅食。",
    "二胡的音色苍凉悠远，适合表现离别和思乡的情绪。",
    "月球总是以同一面朝向地球，因为它的自转与公转周期相同。",
    "他在第八十九分钟头球破门，主队以二比一赢得了比赛。",
    "诗人在江边送别友人，看着孤帆渐渐消失在天际。",
    "珊瑚虫的骨骼经过千万年的堆积，形成了五彩斑斓的礁石。",
    "唐代的陶俑造型丰满，釉色以黄、绿、白三种为主。",
    "孩子们在雪地里堆了一个雪人，用胡萝卜给它做了鼻子。",
    "古城墙外种满了银杏，每到深秋便铺成一条金色的小路。",
)
