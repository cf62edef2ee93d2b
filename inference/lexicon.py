"""The words departments write for parts of the body, folded as `anatomy.fold` does.

No case, no accents. `word*` is a beginning that is enough; words of several parts
are written together, since "avant-bras" and "avant bras" are looked up as one.
German, English, French, Spanish, Italian, Portuguese, Dutch, Scandinavian, Polish,
Czech, Hungarian, Turkish, Russian, Greek, Japanese, Chinese, Korean, Latin.
"""

OURS = {
    "wrist": """
        wrist wrists wri hg hgl hgel handgel hdgl locotypico handgelenk* handwurzel*
        poignet* polso polsi muneca* munecas munheca* punho punhos pulso pulsos pols
        polsen polsgewricht handpols handled* handleds handledd* handlov* handrod*
        handrot ranne ranteen rannenivel nadgarst* zapest* csuklo* rucnizglob* elbilegi
        elbilek bilek bilegi carpus carpi carpe* carpo carpos carpal* carpien* karpus
        karpal* scaphoid* skaphoid* scafoide* escafoide* scaphoideum lunate lunatum
        lunato distalradius radiusdistal* radiusdistalis distalerradius radiusepiphyse
        radiocarp* radiokarp* colles запяст* лучезапяст* καρπ* πηχεοκαρπ* 手関節* 手首
        手腕 手根* 腕关节 腕關節 腕部 腕骨 腕 손목 수근 رسغ معصم
    """,
    "hand": """
        hand hands hnd boneage knochenalter ageosseux edadosea karpogramm lhand rhand
        lthand rthand handl handr handli handre hnad hadn hande haende handen hander
        haender hander handskelett handskelet mittelhand* mhk handrucken handruecken
        handteller mano manos mani mains mao maos reka rece reke dlon dlonie ruka ruce
        saka kez kezfej kasi kaden manus finger fingers fingern fingeren fingrar fingre
        fingrene vinger vingers thumb thumbs daumen duim tommel tumme pouce doigt
        doigts dedo dedos pulgar polegar pollice dito dita palec* kciuk zeigefinger
        mittelfinger ringfinger kleinfinger indexfinger littlefinger langfinger
        metacarp* metakarp* mcp mcpj pipj dipj poing elgrafisi elparmak* parmak кисть
        кисти кистей кистью рука руки пальцы пальца пястн* χερι χειρα χειρας χεριου
        χειρος ακραχειρα ακραςχειρας δακτυλ* μετακαρπ* 手 手部 手指 手骨
        指骨 손 수부 يد
    """,
    "forearm": """
        forearm forearms lowerarm unterarm* vorderarm avantbras avantbra avambraccio
        avambracci antebrazo* antebraco* antebraccio antebrach* onderarm* voorarm
        underarm* kyynarvarsi przedrami* predlokt* alkar podlaktic* onkol radius ulna
        ulnar cubitoradial radiusulna radioulnar* radioulna speiche elle ua предплеч*
        αντιβραχ* πηχη πηχυς 前腕* 前臂 尺骨 桡骨 橈骨 전완 아래팔 ساعد
    """,
    "elbow": """
        elbow elbows elb ellenbogen* ellbogen* elbogen coude coudes codo codos gomito
        gomiti cotovelo* elleboog* ellebogen albue* albuen armbage* armbagsled
        kyynarpaa kyynarnivel lokiec lokcia lokciow loket lokte* konyok* lakat dirsek*
        cubitus olecran* olekran* radiuskopf* radiuskopfchen radialhead caputradii
        локт* локот* αγκων* 肘* 팔꿈치 주관절 مرفق كوع
    """,
}

OTHERS = {
    "shoulder": """
        shoulder* schulter* epaule* hombro* spalla spalle ombro ombros schouder*
        skulder* axel axlar olkapaa barku ramie ramieniowy omuz* rameno clavic* klavik*
        schlusselbein schluesselbein clavicola clavicula sleutelbeen scapula* skapula*
        omoplate omoplato escapula schulterblatt acjoint akromio* acromio*
        плечевойсустав плеч* ключиц* лопатк* ωμου ωμος ωμο κλειδ* 肩* 鎖骨 锁骨 어깨
    """,
    "upper arm": """
        upperarm humerus humeri humero humerus oberarm* bovenarm overarm brachium bicep
        hautdubras 上腕* 上臂 肱骨 βραχιονι*
    """,
    "foot": """
        foot feet lfoot rfoot fuss fusse fuesse fus vorfuss mittelfuss* ruckfuss
        rueckfuss pied pieds pie pies piede piedi pe pes voet voeten fot fotter fod
        fodder fodskelet stopa stopy noha labfej ayak toe toes zeh zehe zehen grosszehe
        orteil* hallux tenen metatars* tarsus tarsal* calcan* kalkan* fersenbein ferse
        heel heels talon calcagno hiel navicularpedis dedodelpie dedosdelpie dedopie
        dedosdope dedodope dedospie стоп* пяточн* ποδι ποδος ποδια πτερν* 足 足部 足趾
        足骨 跟骨 足指 발
    """,
    "ankle": """
        ankle* ancle osg fussgelenk* fussknochel fussknoechel sprunggelenk* knochel
        knoechel cheville* tobillo* caviglia caviglie tornozelo* enkel* ankel* fotled*
        fodled* nilkka kostka kotnik bokaizulet ayakbilegi ayakbilek голеностоп*
        ποδοκνημικ* σφυρ* 足関節* 足首 踝* 발목
    """,
    "lower leg": """
        lowerleg leg legs beinachse* ganzbein* tibia* fibula* tibiafibula
        unterschenkel* jambe jambes pierna piernas gamba gambe perna pernas onderbeen
        underben legg crus bein beine podudzie golen golenie bacak wadenbein schienbein
        tibioperon* peroneo голен* κνημ* 下腿* 小腿 胫骨 脛骨 腓骨 下肢
    """,
    "knee": """
        knee knees lknee rknee knie knien kniegelenk* knieen genou genoux rodilla
        rodillas ginocchio ginocchia joelho joelhos kne kna knaled knaeled polvi kolano
        kolana koleno terd diz dizi patell* kniescheibe rotula колен* γονατ* γονυ 膝*
        무릎
    """,
    "thigh": """
        thigh thighs femur femora* oberschenkel* cuisse muslo coscia coxa dijbeen
        bovenbeen larben udo uda kosc uyluk бедр* μηρ* 大腿* 股骨 대퇴
    """,
    "hip": """
        hip hips hufte huefte hueft huft huftgelenk* hueftgelenk* hanche* cadera
        caderas anca quadril heup heupen hofte hoft hoftled lonkka biodro biodra kycel
        csipo kalca тазобедр* ισχι* 股関節* 髋* 髖* 고관절
    """,
    "pelvis": """
        pelvis becken* beckenubersicht bassin pelvi pelvico bacino bekken bacia backen
        miednic* panev medence* pelvic isg sacrum sakrum kreuzbein sacroilia*
        iliosakral* таз таза λεκαν* 骨盤* 骨盆 골반
    """,
    "spine": """
        spine cspine tspine lspine lsspine ctspine hws bws lws wirbelsaule wirbelsaeule
        halswirbel* brustwirbel* lendenwirbel* rachis colonne colonna columna coluna
        wervelkolom cwk lwk twk rygg ryggrad ryg kregoslup* gerinc omurga vertebra*
        cervical* cervicale lumbar* lumbal* thoracolumb* dorsolumb* lombaire* lombare
        scoliosis skoliose scoliose steissbein coccyx coccy* lumbosacr* позвоночн*
        поясн* шейн* σπονδυλ* αυχεν* οσφυ* 脊椎* 脊柱 頸椎* 颈椎 腰椎* 胸椎* 척추
    """,
    "chest": """
        chest thorax thorac* torace torax lunge lungen lung lungs poumon* pulmon*
        polmon* borstkas brostkorg lungor klatka klatkapiersiowa pluca plic hrudnik
        mellkas akciger gogus gogsu akc rib ribs rippen* rippe costilla* costole
        costela* sternum brustbein hemithorax heart herz coeur corazon cor грудн* легк*
        орган* ребер θωρακ* πνευμον* 胸 胸部* 肺* 肋骨 흉부
    """,
    "abdomen": """
        abdomen* abdomin* abd asp bauch bauchraum addome buik buk mave brzuch brzucha
        bricho hasi waist kub kidney kidneys niere nieren urinary uro stomach magen
        darm colon brzuszn* брюшн* живот* κοιλι* 腹 腹部* 복부
    """,
    "head": """
        head skull schadel schaedel kopf crane craneo cranio cranium cranial* tete
        testa cabeca cabeza teschio schedel hoofd huvud hoved hode kranium skalle
        czaszk* lebka glowa koponya kafa brain hirn facebones facial gesicht nase nose
        nasal nasenbein nez sinus* sinuses nnh nasenneben* orbit* jaw kiefer
        unterkiefer oberkiefer mandib* maxill* zahn zahne zaehne teeth tooth dental
        dent dents denta* opg panorex panoram* ear mastoid череп* голов* нос κρανι* 頭*
        头* 顔 鼻 副鼻腔 歯 두부
    """,
    "neck": "neck hals cou cuello collo pescoco nek nacke szyja шея 頸部 颈部 목",
    "breast": "breast breasts mamma mammo* brust mama mamella seno borst",
    "whole body": "wholebody ganzkorper ganzkoerper corpsentier cuerpoentero 全身",
}

# Words that look like one of the above and mean something else, and words that say
# nothing about the part: they are never matched by resemblance.
ELSEWHERE = """
    campus code column columns handler handlers handles polo oude corpus below pulse
    pulsed angle handheld handside handedness handling handle coupe coupes carm handout
    handover operation surgery 手術* 手术* 手技 手動 手动
"""
PLAIN = """
    l r li re lt rt lk ri left right links rechts linke rechte linker rechter bds beide
    beidseits bilateral bilat both gauche droite droit dte gche g d izq izquierda
    izquierdo der dcha derecha derecho dx sn sx destra destro sinistra sinistro dir esq
    direita esquerda direito esquerdo venstre hojre hoyre vanster hoger lewa lewy prawa
    prawy lewej prawej sol sag ap pa lat ll lateral laterale latero seitlich seitl
    schrag schraeg obl oblique oblik face profil profile vue vues incidence incidences
    incid inc proj projection proiezioni proyecciones ebene ebenen eb xr rx rtg rad
    radio radiographie radiografia roentgen rontgen std und et de du des le la les y e
    i o von trauma mit ohne gips avec sans
"""

# Short words that are still distinctive enough to be recognised misspelt.
DISTINCTIVE = """
    wrist elbow muneca polso gomito coude punho forearm unterarm ankle chest thorax
"""
